#!/usr/bin/env bash
# Runs git's own test suite twice, once with the real git and once with the shim in front of it, and compares the two
# case by case: the proof that nothing can tell the shim from git.
set -euo pipefail

help='Usage: tests/git-suite.sh [--all] [--jobs N] [TEST...]

Runs the tests of the source package of the installed git (Debian and its kin) with the real git
and with the shim first on PATH, prints every test case whose result differs, and ends with 1 if
there is one. Without --all or the names of tests (t5601, t56, t5601-clone.sh) it runs a subset
that takes about two minutes on two cores, the build of the test helpers included.

  --all       every test: 25 to 40 minutes on two cores
  --jobs N    how many tests run at a time (default: 2)

What a test printed is kept in target/git-suite/results. Root is needed only to install what the
tests need, if that is missing.'

# Where a shim could show: how git starts, finds itself and its parts, what it hands to aliases, hooks, editors, pagers and
# helpers, how it ends and dies, what it traces; and whatever clones.
subset='t0005 t0014 t0017 t0029 t0033 t0034 t0035 t0060 t0061 t0068 t0091 t021 t1020 t1309 t1350 t1800 t5544 t560 t561 t58 t7005
t7006 t7408 t7503 t9700'

# What git's test helpers are built with, and what many tests skip themselves without (a terminal, gpg).
packages=(dpkg-dev gcc libc6-dev libio-pty-perl libpcre2-dev make perl zlib1g-dev gnupg)

main() {
    unset CDPATH    # with it, cd prints where it went
    read_options "$@"
    cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
    exec </dev/null
    export LC_ALL=C DEBIAN_FRONTEND=noninteractive
    # Not below target/: nothing there may be called git, lest a search of PATH finds it.
    scratch=$(mktemp -d)
    trap 'chmod -R u+rwx "$scratch"; rm -rf "$scratch"' EXIT
    mkdir -p "${CARGO_TARGET_DIR:-target}/git-suite"
    cache=$(cd -- "${CARGO_TARGET_DIR:-target}/git-suite" && pwd)
    version=$(dpkg-query -W -f '${source:Version}' git) || fail 'git is not installed as a Debian package'
    source=$cache/${version#*:}
    results=$cache/results
    export source scratch results

    install_packages
    [[ -d $source ]] || make_source
    make_directories
    check_directories
    choose_tests
    rm -rf "$results"
    mkdir "$results"
    printf '%s\n' "${tests[@]}" | xargs -P "$jobs" -I TEST bash -euc 'compare TEST'
    report
}

read_options() {
    all='' jobs=2 names=()
    while (($#)); do
        case $1 in
            --help) printf '%s\n' "$help"; exit ;;
            --all) all=1 ;;
            --jobs) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || fail '--jobs needs a number' 2; jobs=$2; shift ;;
            -*) fail "unknown option $1; see tests/git-suite.sh --help" 2 ;;
            *) names+=("${1%.sh}") ;;
        esac
        shift
    done
}

install_packages() {
    local package missing=()
    for package in "${packages[@]}"; do
        [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
    done
    ((${#missing[@]})) || return 0
    ((EUID == 0)) || fail "only root can install what is missing: apt-get install ${missing[*]}"
    apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null ||
        { apt-get update -qq && apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; }
}

# Fetches the source of the very git that is installed, from where the machine has its packages, and leaves apt's own
# configuration and lists alone. It takes its place in the cache when it is whole.
make_source() {
    local file parts=$scratch/apt/parts new=$cache/.new
    mkdir -p "$parts" "$scratch/apt/lists/partial" "$scratch/apt/cache/archives/partial"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [[ ! -f $file ]] || sed -n 's/^deb[[:space:]]/deb-src /p' "$file" >"$parts/${file##*/}.list"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [[ ! -f $file ]] || sed 's/^Types:.*/Types: deb-src/' "$file" >"$parts/${file##*/}"
    done
    local apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$parts"
        -o Dir::State::lists="$scratch/apt/lists" -o Dir::Cache="$scratch/apt/cache" -o APT::Sandbox::User=root)
    "${apt[@]}" update || :    # an archive without sources is no matter, as long as another one has git's
    rm -rf "$new"
    mkdir "$new"
    (cd -- "$new" && "${apt[@]}" source "git=$version" >/dev/null) || fail "no source package of git $version"
    # It has a file called git, see above.
    rm -rf "$new"/git-*/contrib/mw-to-git
    # With the options that Debian builds git with: the tests ask for them. The goal `all` has to be named, since make
    # hands --eval on, and would take `helpers` for the first goal there.
    # shellcheck disable=SC2016 # the dollars are make's
    (cd -- "$new"/git-*/ && DEB_BUILD_OPTIONS='noopt terse' make -s -j "$jobs" -f debian/rules --eval='
helpers:
	$(MAKE) $(OPTS) GIT-BUILD-OPTIONS t/helper/test-tool t/helper/test-fake-ssh
	$(MAKE) $(OPTS) -C templates all
        ' helpers >"$cache/build.log" 2>&1) || fail "git's test helpers cannot be built, see $cache/build.log"
    mv "$new"/git-*/ "$source"
    rm -rf "$new"
}

# Two directories that differ in one file. git's test-lib.sh puts the one in GIT_TEST_INSTALLED first on PATH; `real`
# comes behind both, which makes its git the one that the shim finds.
make_directories() {
    local file program
    program=$(packaging/build 2>"$scratch/build.log") || fail "$(cat "$scratch/build.log")"
    mkdir "$scratch/real" "$scratch/shim"
    for file in /usr/bin/git /usr/bin/git-* /usr/bin/scalar; do
        [[ ! -f $file ]] || ln -s "$file" "$scratch/real"
    done
    cp -P "$scratch"/real/* "$scratch/shim"
    ln -sf "$program" "$scratch/shim/git"
}

# Asks where a test asks, behind all that test-lib.sh has done to the environment: who answers to the name git?
check_directories() {
    local side expected=1
    cat >"$scratch/t0000-who.sh" <<EOF
test_description='who answers to the name git'
. ./test-lib.sh
test_expect_success 'the shim, which marks the environment of git' '
	git -c alias.environment="!env" environment >environment &&
	grep ^_GIT_CLONE_SHIM_SEEN= environment
'
test_done
EOF
    results=$scratch
    for side in real shim; do
        run "$side" "$scratch/t0000-who"
        grep -x "end	$expected	" "$scratch/t0000-who.$side" >/dev/null ||
            fail "with $side first on PATH, the tests do not call it: $(cat "$scratch/t0000-who.$side.log")"
        expected=0
    done
    results=$cache/results
}

choose_tests() {
    local name found
    tests=()
    # shellcheck disable=SC2206 # a list of words
    [[ -n $all ]] && names=(t) || ((${#names[@]})) || names=($subset)
    for name in "${names[@]}"; do
        found=$(cd -- "$source/t" && compgen -G "$name*.sh" | grep '^t[0-9]\{4\}-' | sort) ||
            fail "git has no test $name" 2
        mapfile -t -O "${#tests[@]}" tests <<<"${found//.sh/}"
    done
}

# Runs a test with the real git or the shim. Leaves its results in the form "number TAB result TAB name" in TEST.SIDE,
# and all that it printed in TEST.SIDE.log.
run() {
    local side=$1 test=$2 name=${2##*/} status=0
    # Nothing of the caller's environment takes part. The lint is about the tests themselves, and takes time.
    (cd -- "$source/t" && timeout --kill-after=10 1800 env -i HOME=/nonexistent TERM=dumb \
        PATH="$scratch/real:/usr/sbin:/usr/bin:/sbin:/bin" GIT_TEST_INSTALLED="$scratch/$side" \
        TEST_OUTPUT_DIRECTORY="$scratch/out" GIT_TEST_CHAIN_LINT=0 \
        sh "$test.sh" --verbose-log) >"$scratch/$name.tap" 2>&1 || status=$?
    {
        sed -nE 's/^not ok ([0-9]+) - (.*) # TODO known breakage$/\1\tbroken\t\2/p; t
                 s/^(ok|not ok) ([0-9]+) - (.*)/\2\t\1\t\3/p
                 s/^ok ([0-9]+) # skip (.*)/\1\tskip\t\2/p
                 s/^(1\.\.0|Bail out!|error:) *(.*)/0\t\1\t\2/p' "$scratch/$name.tap"
        printf 'end\t%s\t\n' "$status"
    } >"$results/$name.$side"
    mv "$scratch/out/test-results/$name.out" "$results/$name.$side.log" 2>/dev/null ||
        mv "$scratch/$name.tap" "$results/$name.$side.log"
}

# One side after the other, in the same directory and under the same load: tests use fixed ports, and some print paths.
# Some tests of git's fail now and then, so a difference is asked for twice, and what then vanishes is only listed.
compare() {
    local name=$1 start=$SECONDS verdict=same side
    compare_once "$name" || {
        mv "$results/$name.differences" "$results/$name.once"
        for side in real shim; do mv "$results/$name.$side.log" "$results/$name.$side.once.log"; done
        verdict='same, the second time'
        compare_once "$name" || { rm "$results/$name.once"; verdict=DIFFERS; }
    }
    printf '%-45s %4d s  %s\n' "$name" "$((SECONDS - start))" "$verdict"
}

compare_once() {
    run real "$1"
    run shim "$1"
    diff --old-line-format="$1"$'\treal\t%L' --new-line-format="$1"$'\tshim\t%L' --unchanged-line-format='' \
        "$results/$1.real" "$results/$1.shim" >"$results/$1.differences" && rm "$results/$1.differences"
}

report() {
    local test failed
    cd -- "$results"
    failed=$(find . -name '*.differences' | wc -l)
    show 'Failed with both alike (a matter of this machine; the first case of each):' <(
        for test in "${tests[@]}"; do
            [[ -e $test.differences ]] || awk -F '\t' -v OFS='\t' -v test="$test" '
                $2 == "not ok" && !count++ { first = $1 OFS $2 OFS $3 }
                $1 == "end" && $2 != 0 { print test, "both", count ? first " (" count " in all)" : $0 }' "$test.shim"
        done)
    show 'Differed once, and were the same the second time:' <(find . -name '*.once' -exec cat {} +)
    show 'DIFFERENCES:' <(find . -name '*.differences' -exec cat {} +)
    awk -F '\t' '{ count[$1 == "end" ? "scripts" : $2]++ }
        END {
            printf "\nWith the shim: %d scripts, of which %d skipped themselves; ", count["scripts"], count["1..0"]
            printf "cases: %d ok, %d not ok, ", count["ok"], count["not ok"]
            printf "%d known to be broken, %d skipped\n", count["broken"], count["skip"]
        }' ./*.shim
    printf '%d passed, %d failed\n' "$((${#tests[@]} - failed))" "$failed"
    ((failed == 0))
}

show() {
    awk -F '\t' -v title="$1" '
        NR == 1 { printf "\n%s\n%-40s %-4s %4s  %-6s  %s\n", title, "script", "with", "case", "result", "name" }
        { printf "%-40s %-4s %4s  %-6s  %s\n", $1, $2, $3, $4, $5 }' "$2"
}

fail() {
    printf 'tests/git-suite.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

export -f run compare compare_once
main "$@"
