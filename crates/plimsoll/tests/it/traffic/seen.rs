//! What the answers to steady traffic have told: what failed, which process answers, which instance knows the user.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Tally;
use crate::http::{Answer, Request};

/// The name of whoever is logged in.
const USER: &str = "ada";
/// Further ones say nothing that the first ones do not.
const FAILURES_SHOWN: usize = 10;

#[derive(Default)]
pub(super) struct Seen {
    stopped: bool,
    answered: u64,
    failed: u64,
    failures: Vec<String>,
    first_answers: BTreeMap<(String, u32), Instant>,
    knows_user: BTreeSet<String>,
    /// The time of the newest request that `/stats` has told of; what is not newer than `before` is not counted.
    newest: String,
    before: String,
}

impl Seen {
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn note(&mut self, request: &Request, outcome: &Result<Answer>) {
        self.answered += 1;
        let failure = match outcome {
            Ok(answer) => self.learn(request, answer).err(),
            Err(error) => Some(anyhow::anyhow!("{error:#}")),
        };
        if let Some(failure) = failure {
            self.failed += 1;
            self.failures.push(format!("{} {}: {failure:#}", request.method, request.target));
            self.failures.truncate(FAILURES_SHOWN);
        }
    }

    fn learn(&mut self, request: &Request, answer: &Answer) -> Result<()> {
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        if request.method == "HEAD" {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&answer.body)?;
        if let (Some(instance), Some(pid)) = (body["instance"].as_str(), body["pid"].as_u64()) {
            self.first_answers.entry((instance.to_owned(), pid as u32)).or_insert_with(Instant::now);
        }
        for served in body["requests"].as_array().into_iter().flatten() {
            self.learn_who_served(served);
        }
        ensure!(request.target != "/me" || body["username"] == USER, "not {USER}: {body}");
        Ok(())
    }

    fn learn_who_served(&mut self, served: &Value) {
        let text = |key| served[key].as_str().unwrap_or_default();
        if text("at") > self.before.as_str() && text("path") == "/me" && served["status"] == 200 {
            self.knows_user.insert(text("instance").to_owned());
        }
        if text("at") > self.newest.as_str() {
            text("at").clone_into(&mut self.newest);
        }
    }

    pub(super) fn forget_who_knows_the_user(&mut self) {
        self.knows_user.clear();
        self.before.clone_from(&self.newest);
    }

    pub(super) fn knows_user(&self) -> Vec<String> {
        self.knows_user.iter().cloned().collect()
    }

    pub(super) fn first_answer(&self, instance: &str, pid: u32) -> Option<Instant> {
        self.first_answers.get(&(instance.to_owned(), pid)).copied()
    }

    pub(super) fn tally(&self, elapsed: Duration) -> Tally {
        let Self { answered, failed, failures, .. } = self;
        Tally { answered: *answered, failed: *failed, failures: failures.clone(), per_second: *answered as f64 / elapsed.as_secs_f64() }
    }
}
