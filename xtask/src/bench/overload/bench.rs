//! One invocation: which apps and peers take part, how long each measurement lasts, and what has been measured so far.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::super::processor;
use super::super::recording::{Recording, Stage};
use super::app::{App, Database};
use super::load::{Load, Pace};
use super::peer::{Peer, Rig};

/// What starting an app and whoever stands in front takes, roughly; only the estimate of the time left goes by it.
const START_SECONDS: f64 = 2.5;

/// Connections that ask in a closed loop to find the limit: few leave the app waiting for work, many only make work wait. The best counts.
const CONNECTIONS: [usize; 4] = [6, 12, 24, 48];

/// Seconds that the pieces of a measurement last.
#[derive(Clone, Copy)]
pub(super) struct Lengths {
    /// Half the limit, before a measurement: code is compiled, pools are filled, as in a server that did not start this second.
    pub warm_up: f64,
    /// At the measured rate, before counting begins; how long settling takes is a measurement of its own.
    pub settle: f64,
    pub measure: f64,
    pub calm: f64,
}

impl Lengths {
    pub(super) const FULL: Self = Self { warm_up: 2.0, settle: 2.0, measure: 8.0, calm: 600.0 };
    /// Too short for figures, long enough to see that all works.
    pub(super) const QUICK: Self = Self { warm_up: 1.0, settle: 1.0, measure: 2.0, calm: 10.0 };
}

pub(super) struct Bench {
    pub apps: Vec<App>,
    pub peers: Vec<Peer>,
    pub lengths: Lengths,
    /// Multiples of the limit at which goodput is measured.
    pub multiples: &'static [f64],
    database: Option<Database>,
    limits: Vec<(App, f64)>,
    raw: String,
    /// Rows that every part's raw file begins with.
    raw_limits: String,
    began: Instant,
    planned: f64,
    done: f64,
}

/// What a row of the raw file is about.
#[derive(Clone, Copy)]
pub(super) struct Label<'a> {
    pub part: &'a str,
    pub app: &'a str,
    pub peer: &'a str,
    pub what: &'a str,
}

/// Columns of the raw file.
const COLUMNS: &str = "part,app,peer,what,seconds,offered_per_s,goodput_per_s,due,good,refused,unanswered,\
    good_p50_ms,good_p99_ms,good_p999_ms,refused_p50_ms,refused_p99_ms,generator_cpu_share,generator_saturated,front_cpu_share\n";

impl Bench {
    pub(super) fn new(apps: Vec<App>, peers: Vec<Peer>, lengths: Lengths, multiples: &'static [f64]) -> Self {
        Self {
            apps,
            peers,
            lengths,
            multiples,
            database: None,
            limits: Vec::new(),
            raw: String::new(),
            raw_limits: String::new(),
            began: Instant::now(),
            planned: 0.0,
            done: 0.0,
        }
    }

    /// Adds to what the time left is reckoned from: so many runs of so many seconds.
    pub(super) fn plan(&mut self, runs: usize, seconds: f64) {
        self.planned += runs as f64 * (seconds + START_SECONDS);
    }

    /// A line on what was just found, with the time left.
    pub(super) fn say(&self, text: &str) {
        let left = Duration::from_secs_f64((self.planned - self.done).max(0.0)).as_secs();
        println!("[{:>2}:{:02} left] {text}", left / 60, left % 60);
    }

    pub(super) fn took(&self) -> Duration {
        self.began.elapsed()
    }

    /// What `app` answers per second at most, alone.
    pub(super) fn limit(&mut self, app: App) -> Result<f64> {
        if let Some((_, limit)) = self.limits.iter().find(|(known, _)| *known == app) {
            return Ok(*limit);
        }
        let rig = self.start(app, Peer::Bare, 0.0)?;
        let load =
            |connections| Load { pace: Pace::Closed(connections, self.lengths.measure / 2.0), ..Load::open(rig.port, app.path(), &[]) };
        load(CONNECTIONS[0]).run()?;
        let mut limit: f64 = 0.0;
        for connections in CONNECTIONS {
            let recording = load(connections).run()?;
            let stage = recording.since_stage(0);
            let label =
                Label { part: "limit", app: app.name(), peer: "bare", what: &format!("{connections} connections in a closed loop") };
            self.raw_limits.push_str(&raw_row(label, &stage, &recording, None));
            // Each connection's last request ends after the time that is counted.
            let within = stage.totals.good.saturating_sub(connections as u64);
            limit = limit.max(within as f64 / stage.lasted);
        }
        rig.stop();
        self.done += self.limit_seconds();
        self.limits.push((app, limit));
        self.say(&format!("{} answers {limit:.0}/s at most", app.name()));
        Ok(limit)
    }

    /// The machine may have become another since it was measured.
    pub(super) fn forget_limit(&mut self, app: App) {
        self.limits.retain(|(known, _)| *known != app);
    }

    /// How long it takes to find the limit of an app.
    pub(super) fn limit_seconds(&self) -> f64 {
        (1 + CONNECTIONS.len()) as f64 * self.lengths.measure / 2.0 + START_SECONDS
    }

    /// The database that `app` needs, if it needs one; started when it is first needed.
    pub(super) fn database_for(&mut self, app: App) -> Result<Option<&Database>> {
        if app == App::Fastapi && self.database.is_none() {
            self.database = Some(Database::start()?);
        }
        Ok(self.database.as_ref())
    }

    /// Starts `app` and whoever stands in front of it, afresh.
    pub(super) fn start(&mut self, app: App, peer: Peer, limit: f64) -> Result<Rig> {
        peer.start(app, limit, self.database_for(app)?).with_context(|| format!("{} behind {}", app.name(), peer.name()))
    }

    /// Runs a load against a fresh app and records it from stage `first` on.
    pub(super) fn measure(&mut self, app: App, peer: Peer, what: &str, first: usize, stages: &[(f64, f64)]) -> Result<(Stage, Recording)> {
        let limit = self.limit(app)?;
        let rig = self.start(app, peer, limit)?;
        let load = Load::open(rig.port, app.path(), stages);
        let part = what.split(' ').next().unwrap_or_default();
        let label = Label { part, app: app.name(), peer: peer.name(), what };
        let outcome = self.run(label, &load, first, rig.process_id()).with_context(|| format!("{} behind {}", app.name(), peer.name()));
        rig.stop();
        outcome
    }

    /// Runs a load against whatever listens there and records it from stage `first` on.
    pub(super) fn run(&mut self, label: Label<'_>, load: &Load, first: usize, front: Option<u32>) -> Result<(Stage, Recording)> {
        let spent = |front: Option<u32>| front.map(processor::spent).transpose();
        let before = spent(front)?;
        let recording = load.run()?;
        let after = spent(front)?;
        self.passed(load.seconds());
        let stage = recording.since_stage(first);
        let share = before.zip(after).map(|(before, after)| {
            let spent = after - before;
            (spent.user_us + spent.system_us) as f64 / 1e6 / load.seconds()
        });
        self.record(label, &stage, &recording, share);
        self.say(&describe(label, &stage, &recording));
        Ok((stage, recording))
    }

    /// So much of what was planned lies behind.
    pub(super) fn passed(&mut self, seconds: f64) {
        self.done += seconds + START_SECONDS;
    }

    /// Records a load that was run elsewhere, and says what came of it.
    pub(super) fn note(&mut self, label: Label<'_>, stage: &Stage, recording: &Recording) {
        self.record(label, stage, recording, None);
        self.say(&describe(label, stage, recording));
    }

    /// Adds a row to the raw file.
    pub(super) fn record(&mut self, label: Label<'_>, stage: &Stage, recording: &Recording, front_share: Option<f64>) {
        self.raw.push_str(&raw_row(label, stage, recording, front_share));
    }

    /// Everything recorded since the last time, as a table of its own with the limits on top.
    pub(super) fn take_raw(&mut self) -> String {
        [COLUMNS, &self.raw_limits, &std::mem::take(&mut self.raw)].concat()
    }
}

fn raw_row(label: Label<'_>, stage: &Stage, recording: &Recording, front_share: Option<f64>) -> String {
    let Label { part, app, peer, what } = label;
    let totals = &stage.totals;
    let ms = |value: Option<f64>| value.map_or_else(String::new, |ms| format!("{ms:.2}"));
    format!(
        "{part},{app},{peer},{what},{:.2},{:.1},{:.1},{},{},{},{},{},{},{},{},{},{:.3},{},{}\n",
        stage.lasted,
        stage.offered(),
        stage.goodput(),
        totals.due,
        totals.good,
        totals.refused(),
        totals.unanswered(),
        ms(totals.good_ms(0.5)),
        ms(totals.good_ms(0.99)),
        ms(totals.good_ms(0.999)),
        ms(totals.refused_ms(0.5)),
        ms(totals.refused_ms(0.99)),
        recording.generator_share(),
        recording.generator.saturated,
        front_share.map_or_else(String::new, |share| format!("{share:.3}")),
    )
}

fn describe(label: Label<'_>, stage: &Stage, recording: &Recording) -> String {
    let Label { app, peer, what, .. } = label;
    let totals = &stage.totals;
    let (good, refused) = (milliseconds(totals.good_ms(0.99)), milliseconds(totals.refused_ms(0.99)));
    let late = if recording.generator.saturated { ", BEHIND ITS SCHEDULE" } else { "" };
    format!(
        "{app:<10} {peer:<16} {what:<20} {:>6.0} of {:>6.0}/s, p99 {good}; {} refused, p99 {refused}; {} unanswered; \
         generator {:.0} % of a core{late}",
        stage.goodput(),
        stage.offered(),
        totals.refused(),
        totals.unanswered(),
        100.0 * recording.generator_share()
    )
}

/// For people: three digits that matter, a dash for nothing.
pub(super) fn milliseconds(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(ms) if ms < 1.0 => format!("{ms:.2} ms"),
        Some(ms) if ms < 10.0 => format!("{ms:.1} ms"),
        Some(ms) => format!("{ms:.0} ms"),
    }
}
