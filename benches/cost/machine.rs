//! The machine that runs the benchmark.

use std::fs;

use crate::support::gits::gits;

/// Its processor, kernel and git, as part of a sentence.
pub fn description() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let mut models = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = models
        .next()
        .map_or("unknown processor", |(_, model)| model);
    let kernel = nix::sys::utsname::uname().unwrap();
    let release = kernel.release().to_string_lossy();
    let release = release.split('-').next().unwrap_or_default();
    format!("an {model} with Linux {release} and {}", gits()[0].version)
}
