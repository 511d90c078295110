//! What became of all requests of a line: answers by their status, the rest by what kept them from having one, and why, if nothing worked.

use http::StatusCode;

use super::{Line, format};
use crate::record::{ErrorKind, Example, StatusRecord, Totals, status};

/// Statuses told apart; a server has seldom more, and the rest is added up.
const STATUSES_MAX: usize = 8;

pub(super) struct Outcome<'a> {
    pub(super) totals: Totals,
    statuses: Vec<StatusRecord>,
    examples: Vec<&'a Example>,
    timeout: f64,
}

/// One way for requests to end.
pub(super) struct Ending {
    pub(super) name: String,
    pub(super) count: u64,
    pub(super) is_poor: bool,
    /// In the words of the server or of the system, from outside.
    pub(super) details: Vec<String>,
}

impl<'a> Outcome<'a> {
    pub(super) fn of(line: &'a Line) -> Self {
        let timeout = line.recordings.first().map_or(0.0, |recording| recording.plan.timeout.as_secs_f64());
        let mut outcome = Self { totals: Totals::default(), statuses: Vec::new(), examples: Vec::new(), timeout };
        for recording in &line.recordings {
            outcome.totals.merge(&recording.total);
            status::merge(&mut outcome.statuses, recording.statuses.iter().cloned());
            outcome.examples.extend(&recording.examples);
        }
        outcome.statuses.sort_by_key(|record| std::cmp::Reverse(record.count));
        outcome
    }

    /// Answers first, the most frequent before the others.
    pub(super) fn endings(&self) -> Vec<Ending> {
        let mut endings: Vec<Ending> = self.statuses.iter().take(STATUSES_MAX).map(answered).collect();
        let told: u64 = endings.iter().map(|ending| ending.count).sum();
        let untold = self.totals.answered().saturating_sub(told);
        if untold > 0 {
            let name = if endings.is_empty() { "answers" } else { "other statuses" };
            endings.push(Ending { name: name.to_owned(), count: untold, is_poor: false, details: Vec::new() });
        }
        let unanswered = self.totals.errors.iter().filter(|(_, count)| *count > 0);
        endings.extend(unanswered.map(|(kind, count)| Ending {
            name: worded(kind).to_owned(),
            count,
            is_poor: true,
            details: self.examples.iter().find(|example| example.kind == kind).map(|example| example.message.clone()).into_iter().collect(),
        }));
        endings
    }

    /// That nothing worked, with the most frequent reason and what is likely behind it.
    pub(super) fn failure(&self) -> Option<String> {
        let count = self.totals.due;
        if count == 0 || self.totals.good > 0 {
            return None;
        }
        let ending = self.endings().into_iter().max_by_key(|ending| ending.count)?;
        let status = self.statuses.first().filter(|record| record.count == ending.count);
        let kind = self.totals.errors.iter().find(|(_, errors)| *errors == ending.count);
        let (ended, guess) = match (status, kind) {
            (Some(record), _) => ("were answered with", of_status(record.status).to_owned()),
            (None, Some((kind, _))) => ("ended as", self.of_kind(kind)),
            (None, None) => ("ended as", String::new()),
        };
        let how_many = if ending.count == count { "all".to_owned() } else { format!("{} of", format::count(ending.count)) };
        let failure = format!("Every request failed: {how_many} {} {ended} {}. {guess}", format::count(count), ending.name);
        Some(failure.trim_end().to_owned())
    }

    fn of_kind(&self, kind: ErrorKind) -> String {
        let guess = match kind {
            ErrorKind::Refused => "Has the server stopped?",
            ErrorKind::Connect => "Can the server be reached from here, and does the machine have ports left?",
            ErrorKind::Timeout => {
                let patience = format::time(self.timeout);
                return format!("Is the rate too high, or does the server need longer than the patience of {patience} (--timeout)?");
            }
            ErrorKind::Closed | ErrorKind::Reset => "Does the server crash, or does it limit connections?",
            ErrorKind::Tls => "Does the server speak TLS on this port?",
            ErrorKind::Protocol => "Is this the port of an HTTP server, and is it https?",
            ErrorKind::Overflow => "The generator had no connection left: offer less.",
        };
        guess.to_owned()
    }
}

fn of_status(status: u16) -> &'static str {
    match status {
        400 | 411 | 415 | 422 => "Does it need a body, or another one (--body, --header)?",
        401 | 403 | 407 => "Does it need to know who asks (--header \"Authorization: …\")?",
        404 | 410 => "Is the path right?",
        405 => "Is the method right (--method)?",
        429 => "Does it limit how often one client may ask?",
        500 => "The server's log should say why.",
        502..=504 => "Is what stands behind it running, and is the rate one that it can hold?",
        _ => "",
    }
}

fn answered(record: &StatusRecord) -> Ending {
    let reason = StatusCode::from_u16(record.status).ok().and_then(|status| status.canonical_reason());
    Ending {
        name: reason.map_or_else(|| record.status.to_string(), |reason| format!("{} {reason}", record.status)),
        count: record.count,
        is_poor: record.is_poor(),
        details: record.problem.iter().chain(&record.excerpt).cloned().collect(),
    }
}

/// What an error is called by those who did not write this.
fn worded(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Refused => "connection refused",
        ErrorKind::Connect => "no connection",
        ErrorKind::Timeout => "timed out",
        ErrorKind::Closed => "closed before the answer",
        ErrorKind::Reset => "connection reset",
        ErrorKind::Tls => "TLS failed",
        ErrorKind::Protocol => "not HTTP",
        ErrorKind::Overflow => "not sent, all connections busy",
    }
}
