//! The threads' notes put together: while they work, and when they are done.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::recorder::Counts;
use super::worker::{Glimpse, Notes};
use super::{Progress, Recent};
use crate::histogram::Histogram;
use crate::plan::{Pace, Plan, Stage};
use crate::record::{self, EXAMPLES_MAX, Example, Generator, PlanSummary, Recording, RequestRecord, StageRecord, StatusRecord, Totals};

/// The last that was seen of each thread.
#[derive(Default)]
pub(super) struct Live {
    threads: Vec<Option<Glimpse>>,
    latency: Histogram,
    /// When the last word of a thread came, if it is not told yet.
    news: Option<Instant>,
    /// What was told last, and as of when.
    told: Option<(Instant, Counts)>,
    recent: Recent,
}

impl Live {
    pub(super) fn take(&mut self, glimpse: Glimpse) {
        self.latency.merge(&glimpse.latency);
        let thread = glimpse.thread;
        if thread >= self.threads.len() {
            self.threads.resize_with(thread + 1, || None);
        }
        self.threads[thread] = Some(glimpse);
        self.news = Some(Instant::now());
    }

    pub(super) fn progress(&mut self, plan: &Plan, starts: Instant) -> Progress {
        let elapsed = Instant::now().saturating_duration_since(starts);
        let (mut counts, mut in_flight, mut connections) = (Counts::default(), 0, 0);
        for glimpse in self.threads.iter().flatten() {
            counts.due += glimpse.counts.due;
            counts.sent += glimpse.counts.sent;
            counts.good += glimpse.counts.good;
            counts.failed += glimpse.counts.failed;
            in_flight += glimpse.under_way;
            connections += glimpse.connections;
        }
        // Threads speak up as often as they are looked at: a look in between two words would find that nothing has happened.
        if let Some(now) = self.news.take() {
            let (then, before) = self.told.replace((now, counts)).unwrap_or((starts.min(now), Counts::default()));
            self.recent = Recent {
                spans: now.saturating_duration_since(then),
                good: counts.good - before.good,
                failed: counts.failed - before.failed,
                latency: std::mem::take(&mut self.latency),
            };
        }
        let recent = self.recent.clone();
        let Counts { due, sent, good, failed } = counts;
        let offered_rate = offered_rate(&plan.pace, elapsed);
        Progress { elapsed, lasts: plan.pace.lasts(), offered_rate, due, sent, good, failed, in_flight, connections, recent }
    }
}

fn offered_rate(pace: &Pace, mut elapsed: Duration) -> Option<f64> {
    let Pace::Open(stages) = pace else { return None };
    for stage in stages {
        if elapsed < stage.lasts {
            let part = elapsed.as_secs_f64() / stage.lasts.as_secs_f64();
            return Some(stage.from_rate + (stage.to_rate - stage.from_rate) * part);
        }
        elapsed -= stage.lasts;
    }
    Some(0.0)
}

/// One recording from the notes of all threads; `stopped_after` is how far it came if it was stopped.
pub(super) fn recording(plan: &Plan, started: SystemTime, stopped_after: Option<Duration>, notes: Vec<Notes>) -> Recording {
    let lasts = plan.pace.lasts();
    let lasted = stopped_after.unwrap_or(lasts).min(lasts);
    let mut recording = empty(plan, started, lasted, notes.len());
    recording.stopped_early = lasted < lasts;
    for notes in notes {
        add(&mut recording, notes);
    }
    for stage in &mut recording.stages {
        stage.generator_saturated = record::is_saturated(&stage.lateness);
        recording.generator.lateness.merge(&stage.lateness);
    }
    recording.generator.saturated = record::is_saturated(&recording.generator.lateness);
    for request in &recording.requests {
        recording.total.merge(&request.totals);
    }
    recording
}

fn empty(plan: &Plan, started: SystemTime, lasted: Duration, threads: usize) -> Recording {
    let requests = plan.scenario.requests.iter();
    Recording {
        version: record::VERSION,
        target: plan.target.to_string(),
        started_unix_ms: started.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
        lasted,
        stopped_early: false,
        plan: PlanSummary {
            pace: plan.pace.clone(),
            arrivals: plan.arrivals,
            timeout: plan.timeout,
            connections_max: plan.connections_max,
            protocol: plan.protocol,
            users: plan.scenario.users,
            seed: plan.seed,
        },
        total: Totals::default(),
        // Seconds in which nothing was due are seconds, too.
        seconds: vec![Totals::default(); lasted.as_secs_f64().ceil() as usize],
        stages: stages(&plan.pace, lasted),
        requests: requests.map(|request| RequestRecord { name: request.name.clone(), totals: Totals::default() }).collect(),
        statuses: Vec::new(),
        generator: Generator { threads, ..Generator::default() },
        examples: Vec::new(),
    }
}

/// The stages that were begun.
fn stages(pace: &Pace, lasted: Duration) -> Vec<StageRecord> {
    let whole = [(None, lasted)];
    let planned: Vec<(Option<Stage>, Duration)> = match pace {
        Pace::Open(stages) => stages.iter().map(|stage| (Some(*stage), stage.lasts)).collect(),
        Pace::Closed { .. } => whole.to_vec(),
    };
    let mut starts = Duration::ZERO;
    let mut records = Vec::new();
    for (stage, lasts) in planned {
        if starts >= lasted && !records.is_empty() {
            break;
        }
        let lasted = lasts.min(lasted.saturating_sub(starts));
        records.push(StageRecord {
            stage,
            starts,
            lasted,
            totals: Totals::default(),
            lateness: Histogram::default(),
            generator_saturated: false,
        });
        starts += lasts;
    }
    records
}

fn add(recording: &mut Recording, notes: Notes) {
    let recorder = notes.recorder;
    if recording.seconds.len() < recorder.seconds.len() {
        recording.seconds.resize_with(recorder.seconds.len(), Totals::default);
    }
    for (sum, more) in recording.seconds.iter_mut().zip(&recorder.seconds) {
        sum.merge(more);
    }
    for (sum, more) in recording.stages.iter_mut().zip(&recorder.stages) {
        sum.totals.merge(&more.totals);
        sum.lateness.merge(&more.lateness);
    }
    for (sum, more) in recording.requests.iter_mut().zip(&recorder.requests) {
        sum.totals.merge(more);
    }
    let generator = &mut recording.generator;
    generator.cpu += notes.cpu;
    generator.queued += notes.queued;
    generator.connections_opened += notes.connections_opened;
    generator.connections_peak += notes.connections_peak;
    let answered = (0..).zip(recorder.statuses).filter(|(_, count)| *count > 0);
    record::status::merge(
        &mut recording.statuses,
        answered.map(|(status, count)| StatusRecord { status, count, ..StatusRecord::default() }),
    );
    record::status::merge(&mut recording.statuses, notes.samples.into_iter().map(StatusRecord::from));
    for example in recorder.examples {
        keep(&mut recording.examples, example);
    }
}

fn keep(examples: &mut Vec<Example>, example: Example) {
    let of_kind = examples.iter().filter(|known| known.kind == example.kind).count();
    if of_kind < EXAMPLES_MAX && !examples.contains(&example) {
        examples.push(example);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_between_two_words_of_a_thread_tells_what_was_last_known() {
        let pace = Pace::Open(vec![Stage::constant(100.0, Duration::from_secs(10))]);
        let plan = Plan::new("http://127.0.0.1:1/".parse().unwrap(), pace);
        let starts = Instant::now();
        let mut live = Live::default();
        let counts = Counts { due: 25, sent: 25, good: 25, failed: 0 };
        live.take(Glimpse { thread: 0, counts, under_way: 0, connections: 1, latency: Histogram::default() });
        assert_eq!(live.progress(&plan, starts).recent.good, 25);
        assert_eq!(live.progress(&plan, starts).recent.good, 25);
        live.take(Glimpse {
            thread: 0,
            counts: Counts { good: 40, ..counts },
            under_way: 0,
            connections: 1,
            latency: Histogram::default(),
        });
        assert_eq!(live.progress(&plan, starts).recent.good, 15);
    }
}
