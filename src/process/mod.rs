//! Pipes, pids and signals. Nothing in here knows of git.
#![allow(
    unsafe_code,
    reason = "the one place where system calls without a safe wrapper are made, each with its reason"
)]

pub mod c_string;
mod descriptors;
pub mod environment;
pub mod exec;
pub mod executable;
pub mod exit_reason;
pub mod interruption;
pub mod liveness;
pub mod observer;
pub mod relay;
pub mod signals;
pub mod startup;
pub mod supervise;
pub mod worker;
