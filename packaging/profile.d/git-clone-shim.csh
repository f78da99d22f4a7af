# Puts git-clone-shim first on PATH, unless GIT_CLONE_SHIM is off.
set _git_clone_shim = on
if ( $?GIT_CLONE_SHIM ) then
    set _git_clone_shim = "$GIT_CLONE_SHIM"
endif
if ( "$_git_clone_shim" != off && -x '/usr/libexec/git-clone-shim/bin/git' ) then
    if ( "$path[1]" != '/usr/libexec/git-clone-shim/bin' ) setenv PATH '/usr/libexec/git-clone-shim/bin':"$PATH"
endif
unset _git_clone_shim
