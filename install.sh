#!/bin/sh
# Builds a static git-clone-shim with cargo, and has it install itself: the options are those of `git-clone-shim install`.
set -eu
unset CDPATH   # with it, cd prints where it went

say() { printf 'install.sh: %s\n' "$*" >&2; }
source=$(cd -- "$(dirname -- "$0")" && pwd)
[ -f "$source/packaging/build" ] || { say "$source is not the source tree; run install.sh by its path in there"; exit 1; }
# A shell that is not a login shell may not have read ~/.cargo/env.
command -v cargo >/dev/null || PATH=$PATH:${CARGO_HOME:-${HOME-}/.cargo}/bin
command -v cargo >/dev/null || {
    say "cargo is not on PATH: install Rust (https://rustup.rs), or take the program from a release, which needs none"
    exit 1
}
cd /   # see packaging/build
target=$(rustc -vV | sed -n 's/^host: \([^-]*\).*/\1-unknown-linux-musl/p')
if ! ls "$(rustc --print target-libdir --target "$target")"/libstd-* >/dev/null 2>&1; then
    ! command -v rustup >/dev/null || rustup target add "$target" >&2 ||
        say "built for glibc, it adds about 0.4 ms to each call of git, not 0.1; later: rustup target add $target"
fi
program=$("$source/packaging/build") || { say 'the build failed (see above)'; exit 1; }
cd -- "$OLDPWD"
exec "$program" install "$@"
