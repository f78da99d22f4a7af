#!/usr/bin/env bash
# Builds the .deb and the .rpm, and installs, uses, upgrades and removes each of them in an overlay of this machine, so that
# the machine itself is not changed. It needs root, rpm and man-db, and installs the programs of `build`.
set -euo pipefail
unset CDPATH

main() {
    cd -- "$(dirname -- "$0")/../.."
    { cargo deb --version && cargo generate-rpm --version; } >/dev/null 2>&1 ||
        CARGO_PROFILE_DEV_DEBUG=0 cargo install --quiet --debug --locked cargo-deb cargo-generate-rpm
    packages=$(packaging/deb-and-rpm/build)
    copy=$(mktemp -d)
    trap 'umount -R "$copy" 2>/dev/null || :; rmdir "$copy"' EXIT
    for package in $packages; do
        case $package in
            *.deb) in_a_copy "$package" 'dpkg --install' 'dpkg --purge' ;;
            # On Debian, rpm's database has no package that provides /bin/sh.
            *.rpm) in_a_copy "$package" 'rpm --upgrade --nodeps --replacepkgs' 'rpm --erase' ;;
        esac
    done
}

# Runs try_package in an overlay, and fails if a file of the package is left in it.
in_a_copy() {
    printf '\n=== %s\n' "${1##*/}"
    mount -t tmpfs none "$copy"
    mkdir "$copy"/{changes,work,root}
    mount -t overlay -o "lowerdir=/,upperdir=$copy/changes,workdir=$copy/work" none "$copy/root"
    mount --rbind --make-rslave /dev "$copy/root/dev"
    mount -t proc none "$copy/root/proc"
    chroot "$copy/root" "$PWD/packaging/deb-and-rpm/try.sh" "$@" 2>&1 | sed "s|$PWD/||g"
    left=$(find "$copy/changes" -name '*git-clone-shim*')
    umount -R "$copy"
    [[ -z $left ]] || { printf 'left behind: %s\n' "$left"; exit 1; }
    echo 'Nothing is left of it.'
}

# Installs the package $1 with the command $2, twice, and removes it with the command $3.
try_package() {
    local package=$1 install=$2 remove=$3 bin=/usr/libexec/git-clone-shim/bin
    set -x
    $install "$package"
    [ "$("$bin/git" --version)" = "$(git --version)" ]
    PATH=$bin:$PATH git clone-shim --version
    PATH=$bin:$PATH man -w git-clone-shim
    $install "$package"
    [ -x "$bin/git" ]
    $remove git-clone-shim
}

if (($#)); then
    try_package "$@"
elif [[ -z ${IN_A_NAMESPACE-} ]]; then
    # All mounts end with the namespace.
    IN_A_NAMESPACE=yes exec unshare --mount "$0"
else
    main
fi
