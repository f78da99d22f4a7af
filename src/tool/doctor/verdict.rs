//! The answer to a person's question: does it work here, and if not, why, and what is to be done?

use std::fmt::Write;

use super::report::{Answer, Check, Examination, Surroundings, Unfinished, Verdict};
use crate::settings::Mode;

const NOT_KNOWN: &str = "which git is on PATH is not known";
const SEE_ABOVE: &str = "See above what does not answer.";

/// Judges what was found out about a directory.
pub(super) fn judge(
    examination: &Examination,
    unfinished: Option<&Unfinished>,
    surroundings: &Surroundings,
    mode: Mode,
) -> Verdict {
    if let Some(unfinished) = unfinished {
        return hanging(unfinished, examination);
    }
    if let Some(problem) = &examination.problem {
        return match examination.exists {
            Some(false) => no(
                "there is no such directory",
                "Make it, or name another one.",
            ),
            _ => no(
                &format!("nothing can be made in it: {problem}"),
                "That is not about hard links: make it writable, or name another directory.",
            ),
        };
    }
    if let Some(directory) = &examination.exchangeable_in {
        return not_tried(directory);
    }
    let clones = (&examination.clone_with_git, &examination.clone_through_shim);
    let (Some(git), Some(shim)) = clones else {
        return match (&examination.repository, &surroundings.git_error) {
            (Some(repository), _) => not_about_links(repository),
            (None, Some(_)) => no("there is no real git", "See above where it was looked for."),
            (None, None) => match &surroundings.path_warning {
                Some(warning) => no(
                    &format!("git is not run: {warning}"),
                    "Put a git first on PATH that only you and root can exchange.",
                ),
                None => no(NOT_KNOWN, SEE_ABOVE),
            },
        };
    };
    match (git.ok, shim.ok) {
        (true, true) => Verdict {
            answer: Answer::NotNeeded,
            summary: "Not needed within this directory: git clones by itself.".to_owned(),
            advice: None,
        },
        (_, false) if examination.died_of_link && mode == Mode::Off => {
            no("GIT_CLONE_SHIM=off", "Unset it.")
        }
        (false, false) if !examination.died_of_link => not_about_links(git),
        (_, false) => no(
            &format!("the clone through the shim fails: {}", first_line(shim)),
            "Please report it, with what --json prints.",
        ),
        (false, true) if !surroundings.reached => {
            let advice = surroundings.path_advice.as_deref();
            let why = match surroundings.path.first() {
                Some(first) => format!("not the shim but {} comes first on PATH", first.file),
                None if surroundings.unfinished.is_some() => NOT_KNOWN.to_owned(),
                None => "the shim is not on PATH".to_owned(),
            };
            no(&why, advice.unwrap_or(SEE_ABOVE))
        }
        (false, true) => Verdict {
            answer: Answer::Works,
            summary: "Works: git alone fails here, and through the shim it clones.".to_owned(),
            advice: None,
        },
    }
}

/// Git works by paths, and another user could lead them elsewhere: to a repository of his, whose hooks would run as us.
fn not_tried(directory: &str) -> Verdict {
    Verdict {
        answer: Answer::DoesNotWork,
        summary: format!(
            "Not tried: other users can rename what is in {directory}, and git would run what they put there."
        ),
        advice: Some(
            "Name a directory on the same filesystem that only you can write to.".to_owned(),
        ),
    }
}

fn no(why: &str, advice: &str) -> Verdict {
    Verdict {
        answer: Answer::DoesNotWork,
        summary: format!("Does not work, because {why}."),
        advice: Some(advice.to_owned()),
    }
}

fn not_about_links(failed: &Check) -> Verdict {
    no(
        &format!("git itself fails: {}", first_line(failed)),
        "That is not about hard links, and copying does not cure it.",
    )
}

fn hanging(unfinished: &Unfinished, examination: &Examination) -> Verdict {
    let step = &unfinished.step;
    let why = match unfinished.timed_out {
        true => format!("the filesystem has not answered in time ({step})"),
        false => format!("the examination was ended ({step})"),
    };
    let mut advice = "Wait longer with --timeout, or have the filesystem looked at.".to_owned();
    if let Some(directory) = examination
        .left_behind
        .as_ref()
        .filter(|_| unfinished.lingers)
    {
        let _ = write!(advice, " {directory} is removed as soon as it answers.");
    }
    no(&why, &advice)
}

/// What it failed of: advice and further failures come after that.
fn first_line(failed: &Check) -> &str {
    failed.message.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
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
        let verdict = judge(&examination, None, &Surroundings::default(), Mode::Auto);
        assert_eq!(
            verdict.summary,
            "Does not work, because git itself fails: fatal: detected dubious ownership in repository at '/m/source'."
        );
    }
}
