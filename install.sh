#!/bin/sh
# Installs git-clone-shim beside its other versions, each in a directory of its own, and switches between them.
#
# Whatever is new is written beside its place first and then renamed into it, while signals wait: a run that fails or is
# interrupted leaves everything as it was. What was written is listed in a manifest, and only what is listed is removed.
set -eu

help='Usage: ./install.sh [OPTION]...

Builds a static git-clone-shim with cargo, installs it as PREFIX/git-clone-shim/VERSION with module files for
Lmod and Environment Modules, points PREFIX/git-clone-shim/current at it, prints the line that puts it on PATH,
and shows that it works.

  --prefix DIR           where it is to be used (default ~/.local/opt)
  --modules DIR          where its module files go (default PREFIX/modulefiles)
  --profile-d DIR        write snippets for login shells too, for instance to /etc/profile.d
  --binary FILE          install this program instead of building one
  --no-default           leave the current version and the default module as they are
  --destdir DIR          put everything below DIR, as packagers do; DIR is written into no file, and nothing is shown
  --dry-run              say what would be done, and do nothing

  --list                 list the installed versions
  --activate VERSION     make an installed version the current one and the default module
  --uninstall [VERSION]  remove a version, or all of them

  --help, --version      print this, or the version that would be built

It edits no dot file and never changes a version that is installed: what runs goes on running.'

newline='
'
# Lines: temporary files and directories, all that is ever removed without being listed; directories that this run made;
# and by turns what was written and what it is to be renamed to.
temporaries='' made='' pending=''

main() {
    unset CDPATH          # with it, cd prints where it went
    export LC_ALL=C       # sort and sed take bytes as they are
    read_options "$@"
    find_places
    trap clean_up EXIT
    heed_signals
    case $action in
        install) install_version ;;
        list) list_versions ;;
        activate) activate_version ;;
        uninstall) uninstall ;;
    esac
}

read_options() {
    source=$(cd -- "$(dirname -- "$0")" && pwd)
    prefix=${HOME:+$HOME/.local/opt}
    action=install default=yes modules='' profile_d='' binary='' destdir='' packaged='' version='' dry_run=''
    while [ $# -gt 0 ]; do
        case $1 in
            --?*=*)
                word=$1
                shift
                set -- "${word%%=*}" "${word#*=}" "$@"
                ;;
        esac
        case $1 in
            --prefix | --modules | --profile-d | --binary | --destdir | --activate)
                [ -n "${2-}" ] || fail "$1 needs a value; see ./install.sh --help" 2 ;;
        esac
        case $1 in
            --prefix) prefix=$2; shift ;;
            --modules) modules=$2; shift ;;
            --profile-d) profile_d=$2; shift ;;
            --binary) binary=$2; shift ;;
            --destdir) destdir=$2 packaged=yes; shift ;;
            --no-default) default='' ;;
            --dry-run) dry_run=yes ;;
            --list) act list ;;
            --activate) act activate; version=$2; shift ;;
            --uninstall)
                act uninstall
                case ${2-} in '' | -*) ;; *) version=$2; shift ;; esac
                ;;
            --help) printf '%s\n' "$help"; exit ;;
            --version) check_source; printf 'git-clone-shim %s\n' "$(version_of_source)"; exit ;;
            *) fail "unknown option $1; see ./install.sh --help" 2 ;;
        esac
        shift
    done
}

act() {
    [ "$action" = install ] || fail "--$action and --$1 exclude each other" 2
    action=$1
}

# A link to this script, or a shell that reads it from a pipe, does not lead to what is to be installed.
check_source() {
    [ -f "$source/Cargo.toml" ] || fail "$source is not the source tree; run install.sh by its path in there"
}

version_of_source() {
    sed -n '/^\[package\]/,/^\[/s/^version *= *"\([^"]*\)".*/\1/p' "$source/Cargo.toml"
}

# Paths are those of the final place; what is on disk now is below $destdir.
find_places() {
    [ -n "$prefix" ] || fail 'nowhere to install: HOME is not set; use --prefix' 2
    prefix=$(absolute "$prefix")
    modules=$(absolute "${modules:-$prefix/modulefiles}")/git-clone-shim
    [ -z "$profile_d" ] || profile_d=$(absolute "$profile_d")
    [ -z "$destdir" ] || destdir=$(absolute "$destdir")
    [ -z "$binary" ] || binary=$(absolute "$binary")
    root=$destdir$prefix/git-clone-shim
    case $prefix in *:*) fail "a directory with a colon cannot be on PATH: $prefix" 2 ;; esac
    case $prefix$modules$profile_d$destdir in
        *"$newline"*) fail 'a path with a line break cannot be listed in a manifest' 2 ;;
    esac
}

# --- Installing

install_version() {
    check_source
    check_tools
    # Before the build, so that a target which cannot be written to costs nobody a minute.
    make_directory "$root"
    make_directory "$destdir$modules"
    [ -z "$profile_d" ] || make_directory "$destdir$profile_d"
    make_temporary "$root" -d
    stage=$temporary
    new=$stage/version
    program=$binary
    [ -n "$program" ] || build
    stage_version
    stage_module_files
    stage_manifest
    stage_shared
    [ -z "$default" ] || stage_activation "$destdir$modules"
    rename_all
    [ -n "$dry_run" ] || tell
    [ -n "$packaged$dry_run" ] || verify
}

check_tools() {
    tools=''
    [ -n "$binary$dry_run" ] || tools='cargo rustc'
    [ -n "$packaged$dry_run" ] || tools="$tools git"
    for tool in $tools; do
        command -v "$tool" >/dev/null || fail "$tool is needed, and is not on PATH"
    done
}

# A static binary runs on every node and starts several times faster than a dynamic one.
build() {
    version=$(version_of_source)
    if [ -n "$dry_run" ]; then
        printf 'Would build git-clone-shim %s with cargo\n' "$version"
        return
    fi
    program=$("$source/packaging/build") || fail 'the build failed (see above)'
}

# A version is there whole or not at all: its directory is renamed into its place.
# Unlike cp and mkdir, install makes files and directories that everyone can read whatever the umask.
stage_version() {
    try install -d -m 755 "$new/bin"
    ln -s git-clone-shim "$new/bin/git"
    if [ -n "$program" ]; then
        try install -m 755 "$program" "$new/bin/git-clone-shim"
        # A file of any other kind, the shell would take for a script.
        [ "$(head -c 4 "$program" 2>/dev/null)" = "$(printf '\177ELF')" ] || fail "$program is no program"
        try "$new/bin/git-clone-shim" --version
        version=${said#git-clone-shim }
        case $version in "$said" | [!0-9]* | *[!0-9A-Za-z.+-]*) fail "$program is no git-clone-shim" ;; esac
    fi
    for file in "$source"/man/*.1 "$source"/README.md "$source"/LICENSE*; do
        case $file in */man/*) to=share/man/man1 ;; *) to=share/doc/git-clone-shim ;; esac
        [ ! -f "$file" ] || try install -D -m 644 "$file" "$new/$to/${file##*/}"
    done
    live=$root/$version
    if [ ! -e "$live" ]; then
        rename_later "$new" "$live"
    elif [ -z "$program" ]; then
        printf 'Would compare the build with what is installed: %s\n' "$live"
    elif is_installed; then
        printf 'Already installed, and identical: %s\n' "$live"
    else
        fail "$live differs from this one and may be in use: raise the version, or remove it with --uninstall $version"
    fi
}

# Whether every file of the new version is in the live one, with the same bytes.
is_installed() {
    (cd -- "$new" && find . ! -type d) | while IFS= read -r file; do
        cmp -s "$new/$file" "$live/$file" || exit 1
    done
}

stage_module_files() {
    module_files=''
    stage_module_file "$version.lua" lua 'local root =' "[==[$prefix/git-clone-shim]==]"
    stage_module_file "$version" tcl 'set root' "$(escaped '][{}"$;\ ' "$prefix/git-clone-shim")"
}

# Module files find their tree from their own place; at any other than the usual one they are told. One that is there may
# have been changed by an admin: then it is not ours to remove.
stage_module_file() {
    text=$(cat -- "$source/packaging/modulefiles/git-clone-shim.$2")
    [ "$modules" = "$prefix/modulefiles/git-clone-shim" ] || text=$(filled "$text" "^$3 .*" "$3 $4")
    if [ -e "$destdir$modules/$1" ]; then
        printf 'Left as it is: %s\n' "$destdir$modules/$1"
        [ "$(cat -- "$destdir$modules/$1")" = "$text" ] || return 0
    else
        stage_file "$destdir$modules/$1" "$text"
    fi
    module_files=$module_files$(listed "$modules/$1")$newline
}

# What goes with this version: its module files, and what is in its directory.
stage_manifest() {
    tree=$(cd -- "$new" && find . ! -name . \( -type d -exec printf '%s/\n' {} \; -o -print \))
    tree=$(printf '%s\n' "$tree" | sed "s|^\.|git-clone-shim/$version|")
    { merged "$live/manifest" "$module_files$tree" >"$new/manifest"; } 2>/dev/null ||
        fail "cannot write $new/manifest: is the disk full?"
    try chmod 644 "$new/manifest"
    [ ! -e "$live" ] || rename_later "$new/manifest" "$live/manifest"
}

# What goes with the last version: snippets for login shells, which name no version, and directories.
stage_shared() {
    shared=''
    if [ -n "$profile_d" ]; then
        bin=$(printf '%s\n' "$prefix/git-clone-shim/current/bin" | sed "s/'/'\\\\''/g")
        for shell in sh csh; do
            text=$(cat -- "$source/packaging/profile.d/git-clone-shim.$shell")
            stage_file "$destdir$profile_d/git-clone-shim.$shell" \
                "$(filled "$text" /usr/libexec/git-clone-shim/bin "$bin")"
            shared=$shared$(listed "$profile_d/git-clone-shim.$shell")$newline
        done
    fi
    while IFS= read -r directory; do
        directory=$(listed "${directory#"$destdir"}")
        # Above the prefix, a package is made without directories that its users have.
        case $directory in /*) [ -z "$destdir" ] || continue ;; esac
        shared=$shared$directory$newline
    done <<END
$made
END
    stage_file "$root/manifest" "$(merged "$root/manifest" "$shared")"
}

tell() {
    [ -d "$new" ] || printf 'Installed %s\n' "$live"
    printf 'For module use: %s\n' "${modules%/*}"
    case $modules in *[!A-Za-z0-9/._+@%=~,-]*)
        printf 'Lmod fails to read the default version below such a path; --modules can name another\n' ;;
    esac
    [ -z "$profile_d" ] || printf 'For login shells: %s\n' "$profile_d/git-clone-shim.sh and .csh"
    if [ -n "$default" ]; then
        bin=$prefix/git-clone-shim/current/bin
    else
        bin=$prefix/git-clone-shim/$version/bin
        printf 'Not made current; that is for --activate %s\n' "$version"
    fi
    printf "Put it first on PATH:\n\nexport PATH=\"%s:\$PATH\"\n\n" "$(escaped '\"$`' "$bin")"
}

# --- Switching

list_versions() {
    for version in $(installed); do
        case $version in "$(current)") printf '%s (current)\n' "$version" ;; *) printf '%s\n' "$version" ;; esac
    done
}

current() {
    readlink "$root/current" || :
}

installed() {
    for manifest in "$root"/[0-9]*/manifest; do
        [ ! -f "$manifest" ] || { manifest=${manifest%/*}; printf '%s\n' "${manifest##*/}"; }
    done
}

activate_version() {
    check_installed
    make_temporary "$root" -d
    stage=$temporary
    directories=$(module_directories)
    # Where its module files are an admin's own, none is listed.
    [ -n "$directories" ] || [ ! -d "$destdir$modules" ] || directories=$destdir$modules
    stage_activation "$directories"
    rename_all
    [ -n "$dry_run" ] || printf 'Current: %s\n' "$root/$version"
}

# One rename, so that there is no moment without a current version. $1: directories of its module files, one a line.
stage_activation() {
    while IFS= read -r directory && [ -n "$directory" ]; do
        stage_file "$directory/.version" "#%Module1.0${newline}set ModulesVersion \"$version\""
    done <<END
$1
END
    ln -s "$version" "$stage/current"
    rename_later "$stage/current" "$root/current"
}

check_installed() {
    case $version in */* | .* | current) ;; *) [ ! -f "$root/$version/manifest" ] || return 0 ;; esac
    fail "$version is not installed in $root; see --list"
}

# --- Removing

uninstall() {
    hold_signals
    [ -f "$root/manifest" ] || fail "nothing is installed in $root"
    versions=$(installed)
    if [ -n "$version" ] && [ "$version" != "$versions" ]; then
        check_installed
        [ "$version" != "$(current)" ] ||
            fail "$version is the current version: --activate another one first, or --uninstall all of them"
        uninstall_version
    else
        for version in $versions; do uninstall_version; done
        uninstall_shared
    fi
}

# Its manifest goes last, so that what was interrupted can be run again.
uninstall_version() {
    [ "$version" != "$(current)" ] || remove "$root/current"
    while IFS= read -r directory && [ -n "$directory" ]; do
        ! grep -qxF "set ModulesVersion \"$version\"" "$directory/.version" 2>/dev/null || remove "$directory/.version"
    done <<END
$(module_directories)
END
    lines=$(cat -- "$root/$version/manifest")
    remove_files
    remove_directories
    [ -z "$left" ] || fail "$left is not empty, perhaps because a program there still runs: run this again later"
    remove "$root/$version/manifest"
    remove "$root/$version/"
}

uninstall_shared() {
    lines=$(cat -- "$root/manifest")
    remove_files
    remove "$root/manifest"
    remove_directories
    [ -z "$left" ] || printf 'Left, since not all in it is listed: %s\n' "$left"
}

# Removes the files among $lines of a manifest.
remove_files() {
    while IFS= read -r line; do
        case $line in */) ;; *) remove "$(on_disk "$line")" ;; esac
    done <<END
$lines
END
}

# Removes the directories among $lines of a manifest, the deepest first, but for those that are not empty. Leaves in $left
# the deepest of these.
remove_directories() {
    left=''
    while IFS= read -r line; do
        case $line in */) remove "$(on_disk "$line")" ;; esac
    done <<END
$(printf '%s\n' "$lines" | sort -r)
END
}

remove() {
    if [ -n "$dry_run" ]; then
        printf 'Would remove %s\n' "$1"
    elif [ "$1" = "${1%/}" ]; then
        try rm -f -- "$1"
    elif [ -d "$1" ]; then
        rmdir -- "$1" 2>/dev/null || left=${left:-$1}
    fi
}

# --- Showing that it works

# Says what comes before it on the caller's own PATH, whether it works here, and what it is good for.
verify() {
    case :$PATH: in *":$prefix/git-clone-shim/"*)
        case $(command -v git) in "$prefix/git-clone-shim/"*) ;; *)
            printf 'install.sh: on your PATH, %s comes before it\n' "$(command -v git)" >&2 ;;
        esac
    esac
    export PATH="$bin:$PATH"
    git-clone-shim doctor || printf 'install.sh: it is installed, but does not work everywhere (see above)\n' >&2
    printf '\n'
    "$source/packaging/demonstrate"
}

# --- Writing

# Makes a directory, and those above it that are missing, for everybody to read whatever the umask.
make_directory() {
    if [ -d "$1/" ]; then
        [ -w "$1/" ] || fail "cannot write to $1/; use another --prefix, --modules or --profile-d"
        return 0
    fi
    [ ! -e "$1" ] || fail "$1 is no directory"
    make_directory "${1%/*}"
    [ -z "$dry_run" ] || return 0
    made=$1/$newline$made
    try install -d -m 755 "$1"
}

# Makes a temporary file, or with -d a directory, in the directory $1: only from there it can be renamed into its place.
make_temporary() {
    [ -z "$dry_run" ] || set -- "${TMPDIR:-/tmp}" "${2-}"
    hold_signals
    try mktemp ${2:+"$2"} "$1/.git-clone-shim.XXXXXX"
    temporary=$said
    temporaries=$temporaries$temporary$newline
    heed_signals
}

# Writes the text $2 to a temporary file, to be renamed to $1.
stage_file() {
    make_temporary "${1%/*}"
    { printf '%s\n' "$2" >"$temporary"; } 2>/dev/null || fail "cannot write $temporary: is the disk full?"
    try chmod 644 "$temporary"
    rename_later "$temporary" "$1"
}

rename_later() {
    pending=$pending$1$newline$2$newline
}

# Nothing is shown meanwhile: if nobody read it, that would end the run half-way.
rename_all() {
    hold_signals
    while IFS= read -r from && IFS= read -r to; do
        if [ -n "$dry_run" ]; then printf 'Would write %s\n' "$to"; else try mv -fT "$from" "$to"; fi
    done <<END
$pending
END
    made=''
    heed_signals
}

# --- Manifests and texts

# The directories of a version's module files, one a line.
module_directories() {
    sed -n "s|/$version\.lua\$||p" "$root/$version/manifest" | while IFS= read -r line; do on_disk "$line"; done
}

# How a manifest names a path: relative to the prefix if it is below it, so that the whole of it can be moved.
listed() {
    case $1 in "$prefix"/?*) printf '%s\n' "${1#"$prefix"/}" ;; *) printf '%s\n' "$1" ;; esac
}

# Where a path that a manifest names is.
on_disk() {
    case $1 in /*) printf '%s\n' "$destdir$1" ;; *) printf '%s\n' "$destdir$prefix/$1" ;; esac
}

# The lines of the manifest $1 and the lines $2.
merged() {
    {
        [ ! -f "$1" ] || cat -- "$1"
        printf '%s\n' "$2"
    } | sed '/^$/d' | sort -u
}

# The text $1 with the text $3 for every match of the pattern $2.
filled() {
    printf '%s\n' "$1" | sed "s|$2|$(escaped '\&|' "$3")|g"
}

# The text $2 with a backslash before each of the characters $1.
escaped() {
    printf '%s\n' "$2" | sed "s/[$1]/\\\\&/g"
}

# --- Running and ending

# Runs a command and leaves what it said in $said; if it fails, that is the error.
try() {
    said=$("$@" 2>&1) || fail "$said"
}

# An absolute path, as short as what exists of it allows.
absolute() {
    case $1 in /*) path=$1 ;; *) path=$PWD/$1 ;; esac
    path=${path%/} missing=''
    until [ -d "$path/" ]; do
        [ -z "${path##*/}" ] || missing=/${path##*/}$missing
        path=${path%/*}
    done
    [ -x "$path/" ] || fail "cannot enter $path/"
    path=$(cd -- "$path/" && pwd)
    printf '%s\n' "${path%/}$missing"
}

fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2:-1}"
}

hold_signals() { trap '' HUP INT PIPE TERM; }

heed_signals() {
    trap 'interrupted HUP' HUP
    trap 'interrupted INT' INT
    trap 'interrupted PIPE' PIPE
    trap 'interrupted TERM' TERM
}

# Dies of the signal, as if it had not been caught; not every shell runs the EXIT trap after a signal.
interrupted() {
    clean_up
    trap - EXIT "$1"
    kill -s "$1" $$
}

clean_up() {
    hold_signals
    while IFS= read -r path; do
        [ -z "$path" ] || rm -rf -- "$path"
    done <<END
$temporaries
END
    while IFS= read -r path; do
        [ -z "$path" ] || rmdir -- "$path" 2>/dev/null || :
    done <<END
$made
END
}

main "$@"
