#!/bin/sh
# Builds git-clone-shim and has it install itself.
set -eu

# shellcheck disable=SC2016
help='Usage: ./install.sh [--binary FILE] [OPTION]...

Builds a static git-clone-shim with cargo and runs `git-clone-shim install OPTION...`, which
installs it below ~/.local/opt, prints the line that puts it on PATH, and shows that it works.

  --binary FILE          run this git-clone-shim instead of building one

  --prefix DIR           where it is to be used
  --modules DIR          where its module files go (default PREFIX/modulefiles)
  --profile-d DIR        write snippets for login shells too, for instance to /etc/profile.d
  --no-default           leave the current version and the default module as they are
  --destdir DIR          put everything below DIR, as packagers do
  --dry-run              print what would be written; only target/ is changed, by the build
  --help                 print this

What is installed lists, switches and removes its versions:
git-clone-shim versions | activate VERSION | uninstall [VERSION]'

say() { printf 'install.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

unset CDPATH   # with it, cd prints where it went
source=$(cd -- "$(dirname -- "$0")" && pwd)
program=''
left=$#
while [ "$left" -gt 0 ]; do
    left=$((left - 1))
    case $1 in
        --help) printf '%s\n' "$help"; exit ;;
        --binary=*) program=${1#*=} ;;
        --binary) [ $# -gt 1 ] || fail '--binary needs a value'; program=$2 left=$((left - 1)); shift ;;
        --list | --activate* | --uninstall) fail "no option $1 any more: git-clone-shim versions, activate or uninstall" ;;
        *) set -- "$@" "$1" ;;
    esac
    shift
done

has_target() { ls "$(rustc --print target-libdir --target "$target" 2>/dev/null)"/libstd-* >/dev/null 2>&1; }

if [ -z "$program" ]; then
    [ -f "$source/Cargo.toml" ] || fail "$source is not the source tree; run install.sh by its path in there"
    # A shell that is not a login shell may not have read ~/.cargo/env.
    command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-${HOME-}/.cargo}/bin
    command -v cargo >/dev/null || fail "cargo is not on PATH: install Rust (https://rustup.rs), or, without Rust, take the" \
        "program from a release and run './git-clone-shim install'"
    cd /   # see packaging/build
    target=$(rustc -vV | sed -n 's/^host: \([^-]*\).*/\1-unknown-linux-musl/p')
    if ! has_target && command -v rustup >/dev/null; then
        say "the Rust target $target is missing; rustup target add $target"
        rustup target add "$target" >&2 || :
    fi
    has_target || say "without $target it is built for glibc, which adds about 0.4 ms to each call of git, not 0.1;" \
        "for the fast one: rustup target add $target, then ./install.sh again"
    program=$("$source/packaging/build") || fail 'the build failed (see above)'
    cd -- "$OLDPWD"
fi
case $program in */*) ;; *) program=./$program ;; esac
case $("$program" --version 2>/dev/null) in
    'git-clone-shim '*) exec "$program" install "$@" ;;
    *) fail "$program is no git-clone-shim, or is called by another name" ;;
esac
