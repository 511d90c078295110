//! How the binary fails: what happened, what to do about it, and which exit code says whose turn it is.

use std::fmt::{self, Display};
use std::process::ExitCode;

use plimsoll_admin::{Answer, Outcome};

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Exit code 1: it did not work.
    Failed,
    /// Exit code 2: it was asked wrongly.
    Asked,
    /// Exit code 3: it worked, and what it found is not good enough.
    Missed,
}

/// The end of a verb that did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    /// Shown before the error: the things it sums up.
    details: String,
    hint: Option<String>,
}

impl Failure {
    /// It did not work: the port is taken, an instance never got ready.
    pub fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self { kind: Kind::Failed, error: error.into(), details: String::new(), hint: None }
    }

    /// It was asked wrongly: another command line or file would do.
    pub fn asked(message: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Asked, error: anyhow::Error::msg(message), details: String::new(), hint: None }
    }

    /// It worked, and what it found is not good enough: for a script to end on.
    pub fn missed(message: impl Display + fmt::Debug + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Missed, ..Self::asked(message) }
    }

    /// What was going on, before the error.
    #[must_use]
    pub fn context(mut self, context: &'static str) -> Self {
        self.error = self.error.context(context);
        self
    }

    /// What to do about it: one sentence, or a command to paste.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn hint_if(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    /// The error with its causes, on one line.
    pub fn message(&self) -> String {
        format!("{:#}", self.error)
    }

    /// What to do about it.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Text that stands above the error.
    #[must_use]
    pub fn details(mut self, details: String) -> Self {
        self.details = details;
        self
    }

    /// For whoever gave the order that failed, in another process.
    pub fn into_answer(self) -> Answer {
        let outcome = if self.kind == Kind::Asked { Outcome::Mistaken } else { Outcome::Failed };
        Answer { outcome, text: format!("{:#}", self.error), details: self.details, hint: self.hint }
    }

    /// Back from there.
    pub fn of_answer(answer: Answer) -> Self {
        let Answer { outcome, text, details, hint } = answer;
        let failure = if outcome == Outcome::Mistaken { Self::asked(text) } else { Self::failed(anyhow::anyhow!(text)) };
        failure.details(details).hint_if(hint)
    }

    pub fn exit_code(&self) -> ExitCode {
        match self.kind {
            Kind::Failed => ExitCode::from(1),
            Kind::Asked => ExitCode::from(2),
            Kind::Missed => ExitCode::from(3),
        }
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::failed(error)
    }
}

/// The error with its causes on one line, then the hint after a blank one.
impl Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.details.is_empty() {
            writeln!(formatter, "{}", self.details)?;
        }
        write!(formatter, "error: {:#}", self.error)?;
        match &self.hint {
            Some(hint) => write!(formatter, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn shows_causes_on_one_line_and_the_hint_after_a_blank_one() {
        let cause = std::fs::read("/nowhere/at/all").context("cannot read the key").unwrap_err();
        let shown = Failure::failed(cause).hint("make the file").to_string();
        assert_eq!(shown, "error: cannot read the key: No such file or directory (os error 2)\n\nhint: make the file");
    }

    #[test]
    fn exit_codes_say_whose_turn_it_is() {
        assert_eq!(Failure::asked("which?").exit_code(), ExitCode::from(2));
        assert_eq!(Failure::missed("too slow").exit_code(), ExitCode::from(3));
        assert_eq!(Failure::failed(anyhow::anyhow!("broke")).exit_code(), ExitCode::from(1));
    }
}
