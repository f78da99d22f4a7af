//! The words behind `cargo bench --bench cost --`.

use std::path::PathBuf;

use crate::groups;

/// What is asked for.
#[derive(Default)]
pub struct Options {
    /// `--quick`: few runs of small things, only to see that it works. Nothing is written.
    pub quick: bool,
    /// `--renew`: what is counted is written down instead of compared.
    pub renew: bool,
    /// `--shim DIR`: the directory of an installed `git` to measure; without it, install.sh installs one.
    pub shim: Option<PathBuf>,
    /// The groups that are named; all of them where none is.
    pub groups: Vec<String>,
}

impl Options {
    /// Reads the command line, or says what is wrong with it.
    pub fn read(words: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // cargo says this to every bench.
                "--bench" => {}
                "--quick" => options.quick = true,
                "--renew" => options.renew = true,
                "--shim" => {
                    let directory = words.next().ok_or("--shim needs a directory")?;
                    options.shim = Some(directory.into());
                }
                name if groups::ALL.iter().any(|(known, _)| *known == name) => {
                    options.groups.push(word);
                }
                _ => {
                    let known: Vec<&str> = groups::ALL.iter().map(|(name, _)| *name).collect();
                    return Err(format!(
                        "{word} is not --quick, --renew, --shim DIR or one of {}",
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(options)
    }

    /// Whether this is a full run, whose results are worth keeping.
    pub fn is_full(&self) -> bool {
        !self.quick && self.groups.is_empty()
    }

    /// How many pairs to run: `full`, or a few where it is only to be seen that it works.
    pub fn pairs(&self, full: usize) -> usize {
        if self.quick { 3 } else { full }
    }
}
