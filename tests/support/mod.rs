//! What the tests are made of.

pub mod arena;
pub mod args;
pub mod arrangement;
pub mod call;
pub mod executable;
pub mod fault;
pub mod gits;
pub mod hook;
pub mod installer;
pub mod mounted;
pub mod paused_clone;
pub mod process;
pub mod python;
pub mod refusing_fs;
pub mod scratch;
pub mod source;
pub mod terminal;
pub mod trace;
pub mod tree;
pub mod uv;
pub mod wait;
