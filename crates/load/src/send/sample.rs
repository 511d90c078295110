//! What poor answers say: the beginning of the first body of each status, so that a reader learns what failed and not only how often.
//!
//! A thread has one collection for all its connections. Once it holds a status, nobody looks into another answer of that status.

use std::cell::RefCell;

pub(crate) const STATUSES_MAX: usize = 8;
/// Room for a whole problem (RFC 9457), whose type is read from it.
const BYTES_MAX: usize = 2048;
/// How an answer says that its body is a problem.
const PROBLEM: &[u8] = b"application/problem+json";

#[derive(Debug, Default)]
pub(crate) struct Samples(RefCell<Vec<Sample>>);

/// The beginning of a body.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) status: u16,
    /// Its type says that it describes a problem.
    pub(crate) is_problem: bool,
    pub(crate) body: Vec<u8>,
}

impl Samples {
    /// Whether an answer of this status is one to keep the beginning of.
    pub(crate) fn want(&self, status: u16) -> bool {
        if (200..400).contains(&status) {
            return false;
        }
        let kept = self.0.borrow();
        kept.len() < STATUSES_MAX && kept.iter().all(|sample| sample.status != status)
    }

    pub(crate) fn keep(&self, sample: Sample) {
        // Another answer of the status may have come to its end meanwhile.
        if self.want(sample.status) {
            self.0.borrow_mut().push(sample);
        }
    }

    pub(crate) fn take(&self) -> Vec<Sample> {
        self.0.take()
    }
}

impl Sample {
    pub(crate) fn new(status: u16, content_type: Option<&[u8]>) -> Self {
        let is_problem = content_type.and_then(|value| value.get(..PROBLEM.len())).is_some_and(|kind| kind.eq_ignore_ascii_case(PROBLEM));
        Self { status, is_problem, body: Vec::new() }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let room = BYTES_MAX - self.body.len();
        self.body.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}
