//! The answer to a person's question: does it work here, and if not, why, and what is to be done?

use std::fmt::Write;
use std::path::Path;

use super::report::{Answer, Check, Clones, Examination, Surroundings, Unfinished, Verdict};
use crate::NAME;
use crate::settings::Mode;
use crate::tool::text;

const NOT_KNOWN: &str = "which git is on PATH is not known";
const SEE_ABOVE: &str = "See above what does not answer.";

/// What to do, and the shell command that does it.
struct Advice {
    text: String,
    command: Option<String>,
}

impl Advice {
    fn text(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            command: None,
        }
    }

    fn command(text: &str, command: String) -> Self {
        Self {
            text: text.to_owned(),
            command: Some(command),
        }
    }
}

/// Judges what was found out about `directory`.
pub(super) fn judge(
    directory: &Path,
    examination: &Examination,
    unfinished: Option<&Unfinished>,
    surroundings: &Surroundings,
    mode: Mode,
) -> Verdict {
    if let Some(unfinished) = unfinished {
        return hanging(directory, unfinished, examination);
    }
    if let Some(problem) = &examination.problem {
        return match examination.exists {
            Some(false) => no(
                "there is no such directory",
                Advice::command(
                    "Make it, or name another one.",
                    format!("mkdir -p {}", text::quoted(directory)),
                ),
            ),
            _ => no(
                &format!("nothing can be made in it: {problem}"),
                Advice::text(
                    "That is not about hard links: make it writable, or name another directory.",
                ),
            ),
        };
    }
    if let Some(exchangeable) = &examination.exchangeable_in {
        return not_tried(exchangeable);
    }
    let Some(within) = Trial::of(&examination.clones) else {
        return without_clones(examination, surroundings);
    };
    let reason = |trial: &Trial<'_>| trial.reason(directory, surroundings, mode);
    if let Some((why, advice)) = reason(&within) {
        return no(&why, advice);
    }
    let other = examination.to_other_mount.as_ref();
    let cured_elsewhere = match other.and_then(|other| Some((other, Trial::of(&other.clones)?))) {
        // What is not about links is for git's user to mend there.
        Some((other, trial)) if trial.died_of_link => match reason(&trial) {
            Some((why, advice)) => {
                let from_here = format!("Does not work from here to {}", other.directory);
                return Verdict {
                    answer: Answer::DoesNotWork,
                    summary: format!("{from_here}, because {why}."),
                    advice: Some(advice.text),
                    command: advice.command,
                };
            }
            None => Some(&other.directory),
        },
        _ => None,
    };
    let (answer, within) = match within.git.ok {
        true => (
            Answer::NotNeeded,
            "Not needed within this directory: git clones by itself.",
        ),
        false => (
            Answer::Works,
            "Works: git alone fails here, and through the shim it clones.",
        ),
    };
    let summary = match (answer, cured_elsewhere) {
        (Answer::NotNeeded, Some(elsewhere)) => format!(
            "{within} Works from here to {elsewhere}: git alone fails, and through the shim it clones."
        ),
        _ => within.to_owned(),
    };
    Verdict {
        answer,
        summary,
        advice: None,
        command: None,
    }
}

/// The two clones, where both were tried.
struct Trial<'a> {
    git: &'a Check,
    shim: &'a Check,
    died_of_link: bool,
}

impl<'a> Trial<'a> {
    fn of(clones: &'a Clones) -> Option<Self> {
        Some(Self {
            git: clones.clone_with_git.as_ref()?,
            shim: clones.clone_through_shim.as_ref()?,
            died_of_link: clones.died_of_link,
        })
    }

    /// Why a call of git would not clone there, if it would not, and what to do.
    fn reason(
        &self,
        directory: &Path,
        surroundings: &Surroundings,
        mode: Mode,
    ) -> Option<(String, Advice)> {
        match (self.git.ok, self.shim.ok) {
            (_, false) if self.died_of_link && mode == Mode::Off => Some((
                "GIT_CLONE_SHIM=off".to_owned(),
                Advice::command("Unset it.", "unset GIT_CLONE_SHIM".to_owned()),
            )),
            (false, false) if !self.died_of_link => Some(git_fails(self.git)),
            (_, false) => Some((
                format!(
                    "the clone through the shim fails: {}",
                    first_line(self.shim)
                ),
                Advice::command(
                    "Please report it, with what this prints.",
                    format!("{NAME} doctor --json {}", text::quoted(directory)),
                ),
            )),
            (false, true) if !surroundings.reached => Some(not_reached(surroundings)),
            (_, true) => None,
        }
    }
}

fn not_reached(surroundings: &Surroundings) -> (String, Advice) {
    let why = match surroundings.path.first() {
        Some(first) => format!("not the shim but {} comes first on PATH", first.file),
        None if surroundings.unfinished.is_some() => NOT_KNOWN.to_owned(),
        None => "the shim is not on PATH".to_owned(),
    };
    let advice = surroundings.path_advice.as_deref().unwrap_or(SEE_ABOVE);
    let command = surroundings.path_command.clone();
    (
        why,
        Advice {
            text: advice.to_owned(),
            command,
        },
    )
}

/// Where no clone was tried.
fn without_clones(examination: &Examination, surroundings: &Surroundings) -> Verdict {
    if let Some(repository) = &examination.repository {
        let (why, advice) = git_fails(repository);
        return no(&why, advice);
    }
    if surroundings.git_error.is_some() {
        let advice = "Put a git on PATH behind the shim, or name one in GIT_CLONE_SHIM_GIT.";
        return no("there is no real git", Advice::text(advice));
    }
    match &surroundings.path_warning {
        Some(warning) => no(
            &format!("git is not run: {warning}"),
            Advice::text("Put a git first on PATH that only you and root can exchange."),
        ),
        None => no(NOT_KNOWN, Advice::text(SEE_ABOVE)),
    }
}

/// Git works by paths, and another user could lead them elsewhere: to a repository of his, whose hooks would run as us.
fn not_tried(exchangeable: &str) -> Verdict {
    Verdict {
        answer: Answer::DoesNotWork,
        summary: format!(
            "Not tried: other users can rename what is in {exchangeable}, and git would run what they put there."
        ),
        advice: Some(
            "Name a directory on the same filesystem that only you can write to.".to_owned(),
        ),
        command: None,
    }
}

fn no(why: &str, advice: Advice) -> Verdict {
    Verdict {
        answer: Answer::DoesNotWork,
        summary: format!("Does not work, because {why}."),
        advice: Some(advice.text),
        command: advice.command,
    }
}

fn git_fails(failed: &Check) -> (String, Advice) {
    (
        format!("git itself fails: {}", first_line(failed)),
        Advice::text("That is not about hard links, and copying does not cure it."),
    )
}

fn hanging(directory: &Path, unfinished: &Unfinished, examination: &Examination) -> Verdict {
    let step = &unfinished.step;
    let why = match unfinished.timed_out {
        true => format!("the filesystem has not answered in time ({step})"),
        false => format!("the examination was ended ({step})"),
    };
    let mut advice = "Wait longer, or have the filesystem looked at.".to_owned();
    if unfinished.lingers && !examination.left_behind.is_empty() {
        let left_behind = examination.left_behind.join(" and ");
        let _ = write!(advice, " {left_behind} is removed as soon as it answers.");
    }
    let command = format!("{NAME} doctor --timeout 300 {}", text::quoted(directory));
    no(&why, Advice::command(&advice, command))
}

/// What it failed of: advice and further failures come after that.
fn first_line(failed: &Check) -> &str {
    failed.message.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Check, Examination, Mode, Surroundings, judge};

    #[test]
    fn the_reason_is_not_the_advice() {
        // On a filesystem that tells of another owner, as sshfs -o uid=… does; from git 2.47.3.
        let message = "fatal: detected dubious ownership in repository at '/m/source'\n\
                    To add an exception for this directory, call:\n\n\
                    \tgit config --global --add safe.directory /m/source";
        let examination = Examination {
            repository: Some(Check::failed(message.to_owned())),
            ..Examination::default()
        };
        let surroundings = Surroundings::default();
        let verdict = judge(
            Path::new("/m"),
            &examination,
            None,
            &surroundings,
            Mode::Auto,
        );
        assert_eq!(
            verdict.summary,
            "Does not work, because git itself fails: fatal: detected dubious ownership in repository at '/m/source'."
        );
    }
}
