//! Pipes, pids and signals. Nothing in this module knows about git.
#![allow(
    unsafe_code,
    reason = "the one place where system calls without a safe wrapper are made, each with its reason"
)]

pub mod c_string;
mod child;
pub mod clock;
pub mod entries;
pub mod environment;
pub mod exec;
pub mod exit_reason;
pub mod interruption;
pub mod liveness;
pub mod memory;
pub mod mount_id;
pub mod observer;
pub mod relay;
pub mod signals;
pub mod startup;
mod stderr;
pub mod supervise;
