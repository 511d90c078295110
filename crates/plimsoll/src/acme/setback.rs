//! Why an order came to nothing, and how soon another one makes sense.

use std::fmt;
use std::time::SystemTime;

use instant_acme::{Error, Problem};
use plimsoll_gateway::tls::Ordered;

/// Authorities write long explanations; the log and `plimsoll status` have room for so much of them.
const CHARS_MAX: usize = 600;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Setback {
    /// The authority would not: nothing changes before somebody mends something.
    Refused(String),
    /// It wants fewer orders, until then if it says so.
    Limited(String, Option<SystemTime>),
    /// It was not reached, or does not work: that passes.
    Failed(String),
}

impl Setback {
    /// Of an error, and of what the authority said about asking again.
    pub(super) fn of(error: Error, retry_after: Option<SystemTime>) -> Self {
        match error {
            Error::Api(problem) => Self::of_problem(&problem, retry_after),
            Error::Timeout(_) => Self::Failed("the authority did not decide in time".to_owned()),
            // An answer that is no JSON comes from something in between, or from an authority that is down.
            error => Self::Failed(cut(&format!("the authority cannot be asked: {}", chain(&error)))),
        }
    }

    pub(super) fn of_problem(problem: &Problem, retry_after: Option<SystemTime>) -> Self {
        let kind = kind(problem);
        let status = problem.status.unwrap_or_default();
        let said = cut(&words(problem));
        match kind {
            "rateLimited" => Self::Limited(said, retry_after),
            _ if status == 429 || retry_after.is_some() => Self::Limited(said, retry_after),
            // Two nonces in a row were too old, the authority has a problem, or it has forgotten us: all of that is worth another try soon.
            "badNonce" | "serverInternal" | "accountDoesNotExist" => Self::Failed(said),
            _ if status >= 500 => Self::Failed(said),
            _ => Self::Refused(said),
        }
    }

    pub(super) fn ordered(&self) -> Ordered {
        match self {
            Self::Refused(_) => Ordered::Refused,
            Self::Limited(..) => Ordered::Limited,
            Self::Failed(_) => Ordered::Failed,
        }
    }
}

impl fmt::Display for Setback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(said) | Self::Limited(said, _) | Self::Failed(said)) = self;
        formatter.write_str(said)
    }
}

/// The last part of `urn:ietf:params:acme:error:KIND`.
pub(super) fn kind(problem: &Problem) -> &str {
    problem.r#type.as_deref().unwrap_or_default().rsplit(':').next().unwrap_or_default()
}

/// A problem document (RFC 7807) in one line.
fn words(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("about:blank");
    let mut words = match &problem.detail {
        Some(detail) => format!("{detail} ({kind})"),
        None => kind.to_owned(),
    };
    for subproblem in &problem.subproblems {
        words.push_str("; ");
        words.push_str(&subproblem.to_string());
    }
    words
}

/// One line, no longer than there is room for: the words come from outside.
fn cut(text: &str) -> String {
    let plain = |char: char| if char.is_control() { ' ' } else { char };
    let mut cut: String = text.chars().take(CHARS_MAX).map(plain).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn problem(kind: &str, status: u16) -> Problem {
        let text = format!(r#"{{"type": "urn:ietf:params:acme:error:{kind}", "detail": "so\nit is", "status": {status}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn what_passes_is_told_from_what_somebody_must_mend() {
        let until = UNIX_EPOCH + Duration::from_secs(9);
        for (kind, status, retry_after, expected) in [
            ("rejectedIdentifier", 403, None, Ordered::Refused),
            ("unauthorized", 403, None, Ordered::Refused),
            ("externalAccountRequired", 403, None, Ordered::Refused),
            ("rateLimited", 429, Some(until), Ordered::Limited),
            ("rateLimited", 429, None, Ordered::Limited),
            ("serverInternal", 503, Some(until), Ordered::Limited),
            ("serverInternal", 500, None, Ordered::Failed),
            ("badNonce", 400, None, Ordered::Failed),
            ("accountDoesNotExist", 400, None, Ordered::Failed),
        ] {
            assert_eq!(Setback::of_problem(&problem(kind, status), retry_after).ordered(), expected, "{kind} {status}");
        }
    }

    #[test]
    fn a_problem_is_told_in_one_line_of_bounded_length() {
        let setback = Setback::of_problem(&problem("dns", 400), None);
        assert_eq!(setback.to_string(), "so it is (urn:ietf:params:acme:error:dns)");
        assert_eq!(cut(&"é".repeat(5_000)).chars().count(), CHARS_MAX + 1);
    }
}
