//! How a child exited, and how to end this process in the same way.

use std::ffi::c_int;

use nix::libc;

use super::signals;

/// Why a process has ended: not a bare number, so that death by signal 9 and exit status 137 cannot be confused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitReason {
    /// It called `exit(3)` with this status, 0 to 255.
    Exited(c_int),
    /// This signal killed it. A plain number, since real-time signals have no names.
    Killed(c_int),
}

impl ExitReason {
    /// Reads a status of `waitpid(2)`; `None` if the process has only stopped or continued.
    #[must_use]
    pub fn from_wait_status(status: c_int) -> Option<Self> {
        if libc::WIFEXITED(status) {
            Some(Self::Exited(libc::WEXITSTATUS(status)))
        } else if libc::WIFSIGNALED(status) {
            Some(Self::Killed(libc::WTERMSIG(status)))
        } else {
            None
        }
    }

    /// Ends this process in the same way: with the same exit status, or by the same signal. Nothing that is buffered is written.
    pub fn end(self) -> ! {
        let status = match self {
            Self::Exited(status) => status,
            Self::Killed(signal) => {
                // git has left its core file already; a second one, of the shim, would overwrite it.
                let _ = nix::sys::prctl::set_dumpable(false);
                signals::die_by(signal);
                // Reached where the kernel does not deliver the signal, as to process 1 of a container.
                128 + signal
            }
        };
        // SAFETY: _exit(2) takes a number.
        unsafe { libc::_exit(status) }
    }
}

#[cfg(test)]
mod tests {
    use super::ExitReason;

    #[test]
    fn wait_statuses_become_exit_reasons() {
        assert_eq!(ExitReason::from_wait_status(0x0000), Some(ExitReason::Exited(0)));
        assert_eq!(ExitReason::from_wait_status(0x8000), Some(ExitReason::Exited(128)));
        assert_eq!(ExitReason::from_wait_status(0xff00), Some(ExitReason::Exited(255)));
        assert_eq!(ExitReason::from_wait_status(0x000f), Some(ExitReason::Killed(15)));
        assert_eq!(ExitReason::from_wait_status(0x0083), Some(ExitReason::Killed(3)), "with a core file");
        assert_eq!(ExitReason::from_wait_status(0x0022), Some(ExitReason::Killed(34)), "a real-time signal");
        assert_eq!(ExitReason::from_wait_status(0x137f), None, "stopped");
        assert_eq!(ExitReason::from_wait_status(0xffff), None, "continued");
    }
}
