#!/usr/bin/env bash
# Builds the easyconfig with EasyBuild from PyPI and the Rust of this machine, and loads its module with Lmod. It needs
# python3-venv, libc6-dev and Lmod: the one that LMOD_CMD names, or Debian's.
set -euo pipefail
export LC_ALL=C
unset CDPATH

cd -- "$(dirname -- "$0")/../.."
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

# The crates that cargo has downloaded already.
sources=$work/sources/g/git-clone-shim crates=$work/sources/c/crates.io
mkdir -p "$sources" "$crates"
version=$(sed -n "s/^version = '\(.*\)'/\1/p" packaging/easybuild/*.eb)
git archive --prefix="git-clone-shim-$version/" -o "$sources/git-clone-shim-$version.tar.gz" HEAD
cargo fetch --locked --quiet
for crate in "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/*.crate; do
    file=${crate##*/}
    ln -sf "$crate" "$crates/${file%.crate}.tar.gz"
done

options=(--prefix="$work/easybuild" --sourcepath="$work/sources" --tmpdir="$work" --filter-deps=Rust)
options+=(--modules-tool=Lmod --module-syntax=Lua --disable-trace)
((EUID)) || options+=(--allow-use-as-root-and-accept-consequences)
EB_PYTHON=$work/venv/bin/python3 say "$work/venv/bin/eb" "${options[@]}" packaging/easybuild/*.eb | sed "s|$work|WORK|g; s|$PWD/||g"

real=$(command -v git)
module use "$work/easybuild/modules/all"
cd -- "$work"
mkdir -p other/bin easybuild/modules/all/other
ln -s "$real" other/bin/git
echo "prepend_path('PATH', '$work/other/bin')" >easybuild/modules/all/other/1.lua
say module load git-clone-shim
say module load other
[[ $(command -v git) == "$work/easybuild/software/git-clone-shim/$version/bin/git" ]] || fail 'it is not first on PATH'
[[ $(git --version) == "$("$real" --version)" ]] || fail 'git --version differs through the shim'
[[ -n $(man -w git-clone-shim) ]] || fail 'its man page is not found'
if readelf --program-headers "$(command -v git)" | grep INTERP; then fail 'it is not static'; fi
say git clone-shim --version
git init --quiet demo
git -C demo -c user.name=try -c user.email=try@localhost commit --quiet --allow-empty --message=demo
say git clone --local demo clone
say module unload other git-clone-shim
[[ $PATH != *"$work"* ]] || fail "it is still on PATH: $PATH"
echo 'It was built, loaded, used and unloaded.'
