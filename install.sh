#!/bin/sh
# Builds git-clone-shim, installs it in a directory of its version, makes that version current, and shows that it works.
set -eu

help='Usage: ./install.sh [--prefix DIR]

Builds a static git-clone-shim with cargo, installs it as DIR/git-clone-shim/VERSION
(DIR is ~/.local/opt unless given), points DIR/git-clone-shim/current at that version,
prints the line that puts it on PATH, and clones a tiny repository to show that it works.

It edits no dot file and never changes a version that is already installed.
To uninstall, remove DIR/git-clone-shim.'

# The temporary directories, all that is ever removed: files to install, and the two ends of the clone that is shown.
stage='' near='' far=''

main() {
    unset CDPATH          # with it, cd prints where it went
    export LC_ALL=C       # what git says is searched below
    read_options "$@"
    trap clean_up EXIT
    trap 'interrupted HUP' HUP
    trap 'interrupted INT' INT
    trap 'interrupted PIPE' PIPE
    trap 'interrupted TERM' TERM
    prepare
    build
    install_version
    make_current
    demonstrate
}

read_options() {
    prefix=${HOME:+$HOME/.local/opt}
    while [ $# -gt 0 ]; do
        case $1 in
            --help) printf '%s\n' "$help"; exit ;;
            --prefix) [ $# -gt 1 ] || fail '--prefix needs a directory' 2; shift; prefix=$1 ;;
            --prefix=*) prefix=${1#*=} ;;
            *) fail "unknown option $1; see ./install.sh --help" 2 ;;
        esac
        shift
    done
    case $prefix in
        '') fail 'nowhere to install: HOME is not set, or --prefix is empty' 2 ;;
        *:*) fail "a directory with a colon cannot be on PATH: $prefix" 2 ;;
    esac
}

# Comes before the build, so that a target which cannot be written to costs nobody a minute.
prepare() {
    for tool in cargo rustc diff git; do
        command -v "$tool" >/dev/null || fail "$tool is needed, and is not on PATH"
    done
    source=$(cd -- "$(dirname -- "$0")" && pwd)
    root=$(absolute "$prefix")/git-clone-shim
    build_directory=$(absolute "${CARGO_TARGET_DIR:-$source/target}")
    temporary=$(absolute "${TMPDIR:-/tmp}")
    [ -d "$root" ] || (umask 022 && try mkdir -p "$root")   # a directory that exists keeps the mode it has
    root=$(cd -- "$root" && pwd)
    try mktemp -d "$root/.staging.XXXXXX"
    stage=$said
    cd -- "$source"       # cargo and rustup read the settings of the directory that they run in
    try sed -n '/^\[package\]/,/^\[/s/^version *= *"\([^"]*\)".*/\1/p' Cargo.toml
    version=$said
}

# A static binary runs on every node and starts several times faster than a dynamic one.
build() {
    try rustc -vV
    arch=${said##*host: }
    arch=${arch%%-*}
    target=$arch-unknown-linux-musl
    if ! ls "$(rustc --print target-libdir --target "$target")"/libstd-* >/dev/null 2>&1; then
        printf 'install.sh: %s is not installed (rustup target add %s); building for glibc\n' "$target" "$target" >&2
        target=$arch-unknown-linux-gnu
    fi
    unset CARGO_ENCODED_RUSTFLAGS   # it would win over RUSTFLAGS
    # Naming the target keeps these flags away from proc macros, which cannot be static.
    RUSTFLAGS='-C target-feature=+crt-static -C relocation-model=static' \
        cargo build --release --locked --target "$target" --target-dir "$build_directory" >&2 ||
        fail 'the build failed (see above)'
}

# Staged beside its place and renamed into it: a version is there whole or not at all.
# Unlike cp and mkdir, install makes files and directories that everyone can read whatever the umask.
install_version() {
    new=$stage/$version
    live=$root/$version
    install -d -m 755 "$new/bin"
    install -m 755 "$build_directory/$target/release/git-clone-shim" "$new/bin"
    ln -s git-clone-shim "$new/bin/git"
    for file in man/*.1 README.md LICENSE*; do
        case $file in man/*) to=share/man/man1 ;; *) to=share/doc/git-clone-shim ;; esac
        [ ! -f "$file" ] || install -D -m 644 "$file" "$new/$to/${file##*/}"
    done
    if [ ! -e "$live" ]; then
        try mv -T "$new" "$live"
        printf 'Installed %s\n' "$live"
    elif diff -r "$new" "$live" >/dev/null 2>&1; then
        printf 'Already installed, and identical: %s\n' "$live"
    else
        fail "$live differs from this build and may be in use: remove it, or raise the version in Cargo.toml"
    fi
}

# One rename, so that there is no moment without a current version.
make_current() {
    ln -s "$version" "$stage/current"
    try mv -fT "$stage/current" "$root/current"
    quoted=$(printf '%s\n' "$root/current/bin" | sed 's/[\\"$`]/\\&/g')
    printf "Put it first on PATH:\n\nexport PATH=\"%s:\$PATH\"\n\n" "$quoted"
}

# The main job: a clone to where hard links are refused, first by the real git, then through the shim.
demonstrate() {
    try mktemp -d "$temporary/git-clone-shim.XXXXXX"
    near=$said
    cd -- "$near"
    printf 'hello\n' >greeting
    find_boundary
    make_repository
    if [ -n "$far" ]; then
        printf 'Hard links from %s to %s are refused. Without the shim:\n\n' "$near" "$far"
        show env GIT_CLONE_SHIM=off git clone --local source "$far/clone" || :
        case $status$said in 128*'failed to create link'*) ;; *) fail 'git was expected to fail to create a link' ;; esac
        printf 'With the shim:\n\n'
    else
        printf 'No directory here refuses hard links, so this shows only that a clone works:\n\n'
    fi
    show git clone --local source "${far:-$near}/clone" || fail 'the clone through the shim failed'
    show git --git-dir="${far:-$near}/clone/.git" fsck || fail 'the clone through the shim is damaged'
}

# Sets far to a fresh directory where a file from here can be copied but not hard-linked, if there is one.
find_boundary() {
    for there in /dev/shm "${XDG_RUNTIME_DIR:-/tmp}" "$temporary" "${HOME:-/tmp}" /var/tmp /tmp; do
        far=$(mktemp -d "$there/git-clone-shim.XXXXXX" 2>/dev/null) || continue
        if cp greeting "$far/copy" 2>/dev/null && ! ln greeting "$far/link" 2>/dev/null; then return; fi
        rm -rf "$far"
    done
    far=''
}

# Neither the caller's settings nor the machine's take part, but for GIT_EXEC_PATH: git may need it to find itself.
make_repository() {
    for name in $(env | sed -n '/^GIT_EXEC_PATH=/d; s/^\(GIT_[A-Za-z0-9_]*\)=.*/\1/p'); do
        unset "$name"
    done
    unset XDG_CONFIG_HOME
    export HOME="$near" GIT_CONFIG_NOSYSTEM=1 PATH="$root/current/bin:$PATH"
    (
        export GIT_CLONE_SHIM=off
        git init -q --template= source
        cp greeting source
        cd source
        git add greeting
        git -c user.name=install.sh -c user.email=install.sh@localhost commit -q -m 'Say hello'
    )
}

# Runs a command for all to see; leaves what it said in $said, and ends as it ended.
show() {
    printf '$ %s\n' "$*"
    status=0
    said=$("$@" 2>&1) || status=$?
    printf '%s(exit status %s)\n\n' "${said:+$said
}" $status
    return $status
}

# Runs a command and leaves what it said in $said; if it fails, that is the error.
try() {
    said=$("$@" 2>&1) || fail "$said"
}

absolute() {
    case $1 in /*) printf '%s\n' "$1" ;; *) printf '%s\n' "$PWD/$1" ;; esac
}

fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

clean_up() {
    for directory in "$stage" "$near" "$far"; do
        [ -z "$directory" ] || rm -rf "$directory"
    done
}

# Dies of the signal, as if it had not been caught; not every shell runs the EXIT trap after a signal.
interrupted() {
    clean_up
    trap - EXIT "$1"
    kill -s "$1" $$
}

main "$@"
