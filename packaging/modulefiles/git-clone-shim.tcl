#%Module1.0
# Environment Modules' module file of git-clone-shim, installed as PREFIX/modulefiles/git-clone-shim/VERSION: it finds its
# tree from there.
set root [file join [file dirname [file dirname [file dirname $ModulesCurrentModulefile]]] git-clone-shim]
set bin [file join $root [file tail $ModulesCurrentModulefile] bin]

module-whatis "git clone --local where the filesystem refuses hard links"
proc ModulesHelp { } {
    puts stderr {
Puts a git first on PATH that is the git you have, but for one thing: when a tool
runs `git clone --local` and the filesystem refuses hard links, the clone is
retried with --no-hardlinks. Load it after any other module with a git.

    git-clone-shim doctor              does it work here, and if not, why?
    GIT_CLONE_SHIM=off git clone ...   without it, for this command
    module unload git-clone-shim       without it, from now on
}
}

if { [module-info mode load] && ![file isdirectory $bin] } {
    puts stderr "git-clone-shim: there is no directory $bin; this file only works where `git-clone-shim install` wrote it"
    break
}
conflict git-clone-shim
prepend-path PATH $bin
