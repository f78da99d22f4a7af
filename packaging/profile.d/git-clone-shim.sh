# shellcheck shell=sh
# Puts git-clone-shim first on PATH, unless GIT_CLONE_SHIM is off.
if [ "${GIT_CLONE_SHIM:-}" != off ] && [ -x '/usr/libexec/git-clone-shim/bin/git' ]; then
    case ${PATH:-} in
        '/usr/libexec/git-clone-shim/bin' | '/usr/libexec/git-clone-shim/bin':*) ;;
        *) export PATH='/usr/libexec/git-clone-shim/bin'"${PATH:+:$PATH}" ;;
    esac
fi
