-- Lmod module file of git-clone-shim, installed as PREFIX/modulefiles/git-clone-shim/VERSION.lua: it finds its tree there.
local root = myFileName():match("^(.*)/[^/]+/[^/]+/[^/]+$") .. "/git-clone-shim"
local bin = pathJoin(root, myModuleVersion(), "bin")

whatis("Name: git-clone-shim")
whatis("Version: " .. myModuleVersion())
whatis("Description: git clone --local where the filesystem refuses hard links")
help([[
Puts a git first on PATH that is the git you have, but for one thing: when a tool
runs `git clone --local` and the filesystem refuses hard links, the clone is
retried with --no-hardlinks.

    git-clone-shim doctor              does it work here, and if not, why?
    GIT_CLONE_SHIM=off git clone ...   without it, for this command
    module unload git-clone-shim       without it, from now on
]])

if mode() == "load" and not isDir(bin) then
    LmodError("git-clone-shim: there is no directory " .. bin .. "; this file only works where `git-clone-shim install` wrote it")
end
conflict("git-clone-shim")
-- With this priority it stays first when a module with another git is loaded later.
prepend_path{"PATH", bin, priority=100}
