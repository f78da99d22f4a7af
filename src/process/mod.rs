//! Pipes, pids and signals. Nothing in here knows of git.
#![allow(
    unsafe_code,
    reason = "the one place where system calls without a safe wrapper are made, each with its reason"
)]

pub mod attempt;
mod descriptors;
pub mod ending;
pub mod environment;
pub mod executable;
pub mod interruption;
pub mod liveness;
pub mod observe;
pub mod relay;
pub mod replace;
pub mod short_string;
pub mod signals;
pub mod words;
pub mod worker;
