#%Module1.0
# Environment Modules' module file of git-clone-shim, installed as PREFIX/modulefiles/git-clone-shim/VERSION: it finds its
# tree from there.
set root [file join [file dirname [file dirname [file dirname $ModulesCurrentModulefile]]] git-clone-shim]
set bin [file join $root [file tail $ModulesCurrentModulefile] [uname machine] bin]

module-whatis "git clone --local where the filesystem refuses hard links"
proc ModulesHelp { } {
    puts stderr {
Puts a git first on PATH that is the git you have, but for one thing: when a tool
runs `git clone --local` and the filesystem refuses hard links, the clone is
retried with --no-hardlinks. Load it after any other module with a git.

    git-clone-shim doctor DIR          does it work there, and if not, why?
    GIT_CLONE_SHIM=off git clone ...   without it, for this command
    module unload git-clone-shim       without it, from now on
}
}

conflict git-clone-shim
# On a machine with another processor it does nothing.
if { ![module-info mode load] || [file isdirectory $bin] } {
    prepend-path PATH $bin
}
