//! Processes, signals and descriptors. Nothing in this module knows about git.
#![allow(
    unsafe_code,
    reason = "the one place where system calls without a safe wrapper are made, each with its reason"
)]

pub mod ancestors;
pub mod attempt;
pub mod c_string;
pub(crate) mod descriptors;
pub mod environment;
pub mod exec;
pub mod exit_reason;
pub mod mount_id;
pub(crate) mod signals;
pub mod startup;
