# shellcheck shell=bash
# What .ci/run and .ci/full begin with: the directory, the environment, and how a step is named, retried and run beside others.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
exec </dev/null
export CI=true DEBIAN_FRONTEND=noninteractive
# Only login shells read ~/.cargo/env.
command -v cargo >/dev/null || export PATH="$HOME/.cargo/bin:$PATH"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

step() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }
fail() { printf '%s: %s\n' "$0" "$*" >&2; exit 1; }
twice() { "$@" || { sleep 5; "$@"; }; }

# Installs those of these Debian packages that are missing.
packages() {
    local package missing=()
    for package; do
        dpkg -s "$package" 2>/dev/null | grep -qx 'Status: install ok installed' || missing+=("$package")
    done
    echo "missing: ${missing[*]:-none}"
    ((${#missing[@]})) || return 0
    twice apt-get update -qq
    twice apt-get install -qq -y --no-install-recommends "${missing[@]}"
}

# Runs a command beside the next steps; `finish` waits for it, and shows what it printed.
declare -A running
beside() { "$@" >"$scratch/${1##*/}.log" 2>&1 & running[$1]=$!; }
finish() { wait "${running[$1]}" || { cat "$scratch/${1##*/}.log"; fail "$1"; }; cat "$scratch/${1##*/}.log"; }
