#!/usr/bin/env bash
# A Slurm cluster of one node, on this machine: jobs of an ordinary user load the module with Lmod and run uv 0.5.30 in a home
# directory whose filesystem refuses hard links. Jobs are cancelled and run out of time in the middle of a clone, and the shim is
# upgraded and removed under running jobs.
#
#     tests/cluster.sh [--short] [PROGRAM]
#
# PROGRAM is a git-clone-shim for this machine; without it one is built. It needs root, and Debian's packages munge, slurmctld,
# slurmd, slurm-client, xfsprogs, lmod's dependencies and python3-venv; Lmod and uv are downloaded.
set -euo pipefail
export LC_ALL=C
unset CDPATH GIT_CLONE_SHIM GIT_CLONE_SHIM_GIT

cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
jobs=200
if [[ ${1-} == --short ]]; then jobs=12; shift; fi
program=$(realpath -- "${1:-$(packaging/build)}")

work=$(mktemp -d)
chmod 755 "$work"
home=$work/home
user=nobody
host=$(hostname -s)

fail() { printf 'cluster.sh: %s\n' "$*" >&2; exit 1; }
step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

cleanup() {
    status=$?
    if ((status)); then tail -n 20 "$work"/*.log "$home"/out/* >&2 2>/dev/null || true; fi
    scancel --full --signal=KILL --user="$user" 2>/dev/null || true
    for pid in "$work"/{slurmd,slurmctld,munged}.pid; do
        if [[ -f $pid ]]; then kill -KILL "$(<"$pid")" 2>/dev/null || true; fi
    done
    pkill -KILL -f "$work" 2>/dev/null || true
    umount -l "$home" 2>/dev/null || true
    rm -rf "$work"
    exit "$status"
}
trap cleanup EXIT

# Waits for a condition, two minutes at most.
until_true() {
    local what=$1
    shift
    for ((tries = 0; tries < 1200; tries++)); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "waited in vain for $what"
}

step 'Filesystem, Lmod, uv, the shim'
truncate -s 3G "$work/image"
mkfs.xfs -q "$work/image"
mkdir "$home"
mount -o loop "$work/image" "$home"
# XFS refuses hard links from one project to another: git's error is EXDEV within one mount.
refuse_links() { xfs_io -c 'chproj 7' -c 'chattr +P' "$1"; }

mkdir "$work/lmod" "$work/bin"
(cd "$work/lmod" && apt-get download -qq lmod 2>/dev/null && dpkg -x lmod*.deb .)
grep -rlI /usr/share/lmod "$work/lmod/usr" | xargs sed -i "s|/usr/share/lmod|$work/lmod/usr/share/lmod|g"
lmod=$work/lmod/usr/share/lmod/lmod/init/bash
[[ -f $lmod ]] || fail 'Lmod cannot be downloaded'
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check uv==0.5.30
cp "$work/venv/bin/uv" "$work/bin"

install_version() {
    local version=$1 copy=$work/git-clone-shim-$1
    # Only in a build that is not optimised is the version's text in one piece. A dot must not match a byte of the code.
    sed "s/${current//./\\.}/$version/g" target/debug/git-clone-shim >"$copy"
    chmod 755 "$copy"
    "$copy" install --prefix "$work/prefix" >/dev/null
}
current=$("$program" --version | cut -d' ' -f2)
old=1.${current#*.}
new=9.${current#*.}
"$program" install --prefix "$work/prefix" >/dev/null
cargo build --quiet --locked

real_git=$(PATH=/usr/local/bin:/usr/bin:/bin command -v git)
git() { "$real_git" -c user.name=a -c user.email=a@localhost -c commit.gpgsign=false "$@"; }
mkdir -p "$home/out" "$home/jobs"
cp -R tests/support/tinypkg "$home/repository"
git -C "$home/repository" init -q
git -C "$home/repository" add .
git -C "$home/repository" commit -q -m package
chown -R "$user" "$home/repository"

# What a user has sourced, and how a job of his looks.
cat >"$home/lib.sh" <<SHELL
export HOME=$home UV_PYTHON=/usr/bin/python3 UV_PYTHON_DOWNLOADS=never UV_NO_CONFIG=1
export PATH=$work/bin:/usr/local/bin:/usr/bin:/bin
. $lmod
module use $work/prefix/modulefiles
uv_add() {
    cd "$home/jobs/\$1"
    rm -rf .venv uv.lock
    printf "[project]\nname = 'project'\nversion = '0.1.0'\nrequires-python = '>=3.8'\n" >pyproject.toml
    UV_CACHE_DIR=\$PWD/cache uv add --quiet --offline git+file://$home/repository &&
        [[ \$(.venv/bin/python -c 'import tinypkg; print(tinypkg.ANSWER)') == 42 ]]
}
SHELL

# A directory for a job, in which uv's checkouts are in another project than its database.
job_directory() {
    mkdir -p "$home/jobs/$1/cache/git-v0/checkouts" "$home/jobs/$1/refused"
    refuse_links "$home/jobs/$1/cache/git-v0/checkouts"
    refuse_links "$home/jobs/$1/refused"
    chown -R "$user" "$home/jobs/$1"
}
for ((job = 1; job <= jobs; job++)); do job_directory "$job"; done
for name in plain export module purge default loop held-linked held-refused held-plain timeout; do job_directory "$name"; done
chown "$user" "$home" "$home/out" "$home/jobs"

step 'Slurm'
dd if=/dev/urandom of="$work/munge.key" bs=128 count=1 status=none
chmod 400 "$work/munge.key"
munged --force --key-file="$work/munge.key" --socket="$work/munge.socket" --pid-file="$work/munged.pid" \
    --seed-file="$work/munge.seed" --log-file="$work/munged.log"
mkdir "$work/state" "$work/spool"
cat >"$work/slurm.conf" <<CONF
ClusterName=cluster
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/filetxt
JobCompLoc=$work/jobcomp.txt
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_min_interval=100000,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=30 State=UP
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld
slurmd
is_up() { [[ $(sinfo --noheader --format=%T 2>/dev/null) == idle ]]; }
until_true 'the node' is_up

# Runs sbatch as the user, with a script from stdin.
submit() {
    setpriv --reuid="$user" --regid=nogroup --clear-groups \
        env -i HOME="$home" PATH=/usr/local/bin:/usr/bin:/bin SLURM_CONF="$SLURM_CONF" sbatch --parsable --chdir="$home" "$@"
}
# The state in which a job has ended, as Slurm tells it.
state() { scontrol --oneliner show job "$1" | grep -o 'JobState=[A-Z_]*' | cut -d= -f2 | sort | uniq -c | xargs; }
has_ended() { ! squeue --noheader --jobs="$1" 2>/dev/null | grep -q .; }
ended_as() {
    until_true "the end of job $1" has_ended "$1"
    [[ $(state "$1") == "$2" ]] || fail "job $1 ended as '$(state "$1")', not as '$2': $3"
}

# A job whose clone stays in its hook until it is killed. Slurm counts time limits in minutes: this one goes on meanwhile.
mkdir "$home/hooks"
cat >"$home/hooks/post-checkout" <<SHELL
#!/bin/sh
touch "\$HELD"
exec sleep 600
SHELL
chmod 755 "$home/hooks/post-checkout"
held() { # NAME REFUSED MODULE OPTION…
    local name=$1 place=$2 module=$3
    shift 3
    submit --output="$home/out/$name" "$@" <<SHELL
#!/bin/bash
. $home/lib.sh
$module
export HELD=$home/out/$name.held
cd $home/jobs/$name/$place
git clone --quiet --local -c core.hooksPath=$home/hooks $home/repository dst
SHELL
}
timeout=$(held timeout refused 'module load git-clone-shim' --time=1)

step 'Without the module: uv fails'
job=$(submit --output="$home/out/plain" <<SHELL
#!/bin/bash
. $home/lib.sh
uv_add plain
SHELL
)
ended_as "$job" '1 FAILED' 'uv without the module'
grep -q "fatal: failed to create link '.*Invalid cross-device link" "$home/out/plain" || fail "uv failed otherwise: $(<"$home/out/plain")"

step "A job array of $jobs: each loads the module and runs uv"
trace=$home/out/array.trace
array=$(submit --array="1-$jobs" --output="$home/out/array-%a" <<SHELL
#!/bin/bash
. $home/lib.sh
module load git-clone-shim
export GIT_TRACE=$trace
uv_add "\$SLURM_ARRAY_TASK_ID"
SHELL
)
until_true 'the array' has_ended "$array" || until_true 'the array' has_ended "$array"
ended_as "$array" "$jobs COMPLETED" 'the array'
cured=$(grep -c 'built-in: git clone --local .* --no-hardlinks' "$trace")
[[ $cured == "$jobs" ]] || fail "$cured fallbacks of $jobs jobs"

step 'The environment of a job'
# Submitted with the module loaded: it is inherited, unless --export=NONE; a purge removes it.
which_git() { # NAME LINES OPTION…
    local name=$1 lines=$2
    shift 2
    submit --output="$home/out/$name" --wait "$@" >/dev/null <<SHELL
#!/bin/bash
$lines
command -v git >$home/out/$name.git
SHELL
    cat "$home/out/$name.git"
}
shim=$work/prefix/git-clone-shim/$current/$(uname -m)/bin/git
lib=". $home/lib.sh"
[[ $(which_git export "$lib") == "$real_git" ]] || fail 'there is a shim without the module'
[[ $(which_git module "$lib; module load git-clone-shim") == "$shim" ]] || fail 'the module does not put the shim first'
[[ $(which_git purge "$lib; module load git-clone-shim; module purge") == "$real_git" ]] || fail 'the shim outlives a purge'
loaded="PATH=$(dirname -- "$shim"):/usr/local/bin:/usr/bin:/bin"
[[ $(which_git inherited : --export="$loaded") == "$shim" ]] || fail 'a loaded module is not inherited'
[[ $(which_git none : --export=NONE) != "$shim" ]] || fail '--export=NONE keeps the shim'
[[ $(which_git none-module "$lib; module load git-clone-shim" --export=NONE) == "$shim" ]] || fail 'no shim with --export=NONE and the module'

step 'scancel in the middle of a clone'
refused=$(held held-refused refused 'module load git-clone-shim')
linked=$(held held-linked . 'module load git-clone-shim')
plain=$(held held-plain . :)
for name in held-refused held-linked held-plain; do until_true "the hook of $name" test -e "$home/out/$name.held"; done
scancel "$refused" "$linked" "$plain"
for job in "$refused" "$linked" "$plain"; do ended_as "$job" '1 CANCELLED' 'scancel'; done
no_process() { ! pgrep -f "$home/jobs/$1|$home/hooks/post-checkout" >/dev/null; }
# The job that waits for its time limit has its own.
runs_no_more() { ! pgrep -u "$user" -f "git clone.*$home/repository dst" | while read -r pid; do readlink "/proc/$pid/cwd"; done | grep -q "/held-"; }
until_true 'the processes of cancelled jobs' runs_no_more
left() { (cd "$home/jobs/$1" && find dst -printf '%y %P\n' 2>/dev/null | grep -v objects/ | sort); }
[[ $(left held-linked) == "$(left held-plain)" ]] || fail "scancel leaves other files than with git: $(diff <(left held-linked) <(left held-plain))"
[[ $(left held-refused/refused) == "$(left held-plain)" ]] || fail "scancel leaves other files of a fallback: $(diff <(left held-refused/refused) <(left held-plain))"
# The same jobs again, without what holds them.
again=$(submit --output="$home/out/again" <<SHELL
#!/bin/bash
set -e
. $home/lib.sh
module load git-clone-shim
for place in held-refused/refused held-linked; do
    cd $home/jobs/\$place
    rm -rf dst
    git clone --quiet --local $home/repository dst
    git -C dst fsck --strict
done
SHELL
)
ended_as "$again" '1 COMPLETED' 'the cancelled jobs again'

step 'Upgrades, a way back and removals under running jobs'
touch "$home/out/loop"
loops=$(submit --array=1-4 --output="$home/out/loop-%a" <<SHELL
#!/bin/bash
. $home/lib.sh
# The directory of the current version, as the line that install prints has it.
export PATH=$work/prefix/git-clone-shim/current/\$(uname -m)/bin:\$PATH
cd $home/jobs/loop/refused
while [[ -e $home/out/loop ]]; do
    git clone --quiet --local $home/repository \$SLURM_ARRAY_TASK_ID || exit 1
    rm -rf \$SLURM_ARRAY_TASK_ID
    echo cloned
done
SHELL
)
clones() { cat "$home"/out/loop-* 2>/dev/null | grep -c '^cloned' || true; }
more_than() { (($(clones) > $1)); }
for change in "install_version $new" "install_version $old" "$program install --prefix $work/prefix" \
    "$program uninstall --prefix $work/prefix $old" "install_version $new" \
    "$program uninstall --prefix $work/prefix $current"; do
    until_true 'clones' more_than $(($(clones) + 8))
    $change >/dev/null
done
until_true 'clones' more_than $(($(clones) + 8))
rm "$home/out/loop"
ended_as "$loops" '4 COMPLETED' 'clones during changes of the installation'
cloned=$(clones)
! grep -v '^cloned' "$home"/out/loop-* || fail 'a clone wrote an error'

step 'A time limit in the middle of a clone'
until_true 'the time limit' has_ended "$timeout" || true
ended_as "$timeout" '1 TIMEOUT' 'the time limit'
[[ $(left timeout/refused) == "$(left held-plain)" ]] || fail "a time limit leaves other files: $(diff <(left timeout/refused) <(left held-plain))"

is_quiet() { ! pgrep -u "$user" -f "$home" >/dev/null; }
until_true 'all processes of jobs' is_quiet

step 'Result'
cat <<TABLE
| jobs | ended as |
|---|---|
| uv without the module | failed, as in its issue 11420 |
| $jobs of an array that load the module and run uv | $jobs completed, each by a fallback |
| 2 cancelled in the middle of a clone | as with git, no process left, the same clones succeed afterwards |
| 1 out of time in the middle of a clone | as with git, no process left |
| 6 with --export, --export=NONE, a purge | the git that the environment names |
| 4 during 4 installations and 2 removals | $cloned clones, none failed |
TABLE
