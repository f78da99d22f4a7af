#!/usr/bin/env bash
# Installs the files of packaging/release with EasyBuild from PyPI, and loads the module with Lmod. It needs python3-venv and Lmod:
# the one that LMOD_CMD names, or Debian's.
set -euo pipefail
export LC_ALL=C
unset CDPATH

cd -- "$(dirname -- "$0")/../.."
files=$(cd -- "${CARGO_TARGET_DIR:-target}/release-files" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '\n$ %s\n' "$*"; "$@"; }
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }
module() { eval "$("$LMOD_CMD" bash "$@")"; }

if [[ -z ${LMOD_CMD-} ]]; then
    # Unpacked only: Debian's package conflicts with Environment Modules.
    mkdir "$work/lmod"
    (cd "$work/lmod" && apt-get download -qq lmod 2>/dev/null && dpkg -x lmod*.deb .)
    export LMOD_CMD=$work/lmod/usr/share/lmod/lmod/libexec/lmod
fi
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check 'easybuild>=5,<6'
options=(--prefix="$work/easybuild" --sourcepath="$files" --tmpdir="$work" --modules-tool=Lmod --module-syntax=Lua --disable-trace)
((EUID)) || options+=(--allow-use-as-root-and-accept-consequences)
EB_PYTHON=$work/venv/bin/python3 say "$work/venv/bin/eb" "${options[@]}" "$files"/git-clone-shim-*.eb | sed "s|$work|WORK|g; s|$PWD/||g"

real=$(command -v git)
module use "$work/easybuild/modules/all"
cd -- "$work"
mkdir -p other/bin easybuild/modules/all/other
ln -s "$real" other/bin/git
echo "prepend_path('PATH', '$work/other/bin')" >easybuild/modules/all/other/1.lua
say module load git-clone-shim
say module load other
[[ $(command -v git) == "$work"/easybuild/software/git-clone-shim/*/bin/git ]] || fail 'it is not first on PATH'
[[ $(git --version) == "$("$real" --version)" ]] || fail 'git --version differs through the shim'
[[ -n $(man -w git-clone-shim) ]] || fail 'its man page is not found'
say git clone-shim --version
say module unload other git-clone-shim
[[ $PATH != *"$work"* ]] || fail "it is still on PATH: $PATH"
echo 'It was installed, loaded, used and unloaded.'
