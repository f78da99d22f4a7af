#!/usr/bin/env bash
# Does by hand what the two lines of Containerfile have an engine do, in an overlay of this machine, and clones there to another
# filesystem, by git alone and with the image's PATH. It needs root.
set -euo pipefail
unset CDPATH

# All mounts end with the namespace.
[[ -n ${IN_A_NAMESPACE-} ]] || IN_A_NAMESPACE=yes exec unshare --mount "$0"
cd -- "$(dirname -- "$0")"
fail() { printf 'try.sh: %s\n' "$*" >&2; exit 1; }
program=$(../build)
image=$(mktemp -d)
trap 'umount -R "$image" 2>/dev/null || :; rmdir "$image"' EXIT
mount -t tmpfs none "$image"
mkdir "$image"/{changes,work,root}
mount -t overlay -o "lowerdir=/,upperdir=$image/changes,workdir=$image/work" none "$image/root"
mount --rbind --make-rslave /dev "$image/root/dev"
mount -t tmpfs none "$image/root/dev/shm"

read -r _ mode _ to < <(grep '^COPY' Containerfile)
path=$(sed -n 's/^ENV PATH=//p' Containerfile)
[[ $mode == --chmod=755 && $path == "${to%/git}:\$PATH" ]] || fail 'Containerfile has other lines'
install -D -m 755 "$program" "$image/root$to"

clone() { chroot "$image/root" env -i HOME=/ PATH="$1" git clone --quiet --local /demo "/dev/shm/$2"; }
plain=/usr/local/bin:/usr/bin:/bin
chroot "$image/root" env -i HOME=/ PATH="$plain" sh -ec \
    'git init --quiet demo; git -C demo -c user.name=a -c user.email=a@a commit --quiet --allow-empty --message=demo'
if clone "$plain" without 2>"$image/error"; then fail 'git alone clones'; fi
grep 'failed to create link' "$image/error"
clone "${path/\$PATH/$plain}" with
[[ -d $image/root/dev/shm/with/.git ]] || fail 'there is no clone'
echo 'With these two lines it clones.'
