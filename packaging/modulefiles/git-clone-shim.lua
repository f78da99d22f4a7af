-- Lmod module file of git-clone-shim, installed as PREFIX/modulefiles/git-clone-shim/VERSION.lua: it finds its tree from there.
local root = myFileName():match("^(.*)/[^/]+/[^/]+/[^/]+$") .. "/git-clone-shim"
local machine = capture("uname -m"):gsub("%s", "")
local bin = pathJoin(root, myModuleVersion(), machine, "bin")

whatis("Name: git-clone-shim")
whatis("Version: " .. myModuleVersion())
whatis("Description: git clone --local where the filesystem refuses hard links")
help([[
Puts a git first on PATH that is the git you have, but for one thing: when a tool
runs `git clone --local` and the filesystem refuses hard links, the clone is
retried with --no-hardlinks.

    git-clone-shim doctor DIR          does it work there, and if not, why?
    GIT_CLONE_SHIM=off git clone ...   without it, for this command
    module unload git-clone-shim       without it, from now on
]])

conflict("git-clone-shim")
-- On a machine with another processor it does nothing. With this priority it stays first when a module with another git is
-- loaded later.
if mode() ~= "load" or isDir(bin) then
    prepend_path{"PATH", bin, priority=100}
end
