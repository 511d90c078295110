//! How many requests at once: found by moving the limit and watching what comes out. Pure: periods in, limits out.
//!
//! Throughput decides. Giving an application more requests at once makes it do more until something in it is fully busy; from there on more
//! requests only stand in its queues. That knee is where the limit belongs, a little above rather than below, since a place too many costs
//! some latency and a place too few costs throughput.
//!
//! While nobody has to wait there is nothing to limit: such *calm* periods only raise the limit, and teach how long an answer takes when
//! the instances are not busy (the reference). When requests wait, the period is *limited* and the limit is the concurrency. Then:
//! - a little more than throughput × reference latency is room enough (Little's law): the limit moves there, down at once or up in steps;
//! - each move is a trial. Less throughput than before proves a move down wrong, no more throughput than before a move up;
//! - now and then a trial goes up by half, which costs nothing but a little latency, and, where nothing vouches for the present limit,
//!   down by a fifth;
//! - a direction that was wrong is tried again later and later, until throughput changes by itself.

mod period;
#[cfg(test)]
mod tests;

pub(super) use self::period::{FEW, Period, is_quiet};

/// Answers may take this many times as long as when the instances are not busy. Leaner limits lose throughput wherever work passes
/// through several stages that wait for each other, the more so the more uneven it is: while a few long answers are worked on, many short
/// ones must be at hand. The second is added for each unit of unevenness (standard deviation over mean).
const STRETCH: f64 = 2.0;
const STRETCH_UNEVEN: f64 = 0.1;
const STRETCH_MAX: f64 = 2.4;
/// The same where clients leave before their answer: there latency costs more than a little throughput.
const STRETCH_IMPATIENT: f64 = 1.1;
/// The share of requests whose clients leave from which on they count as impatient; at four times that, entirely.
const IMPATIENT_SHARE: f64 = 0.01;
/// The share from which on the instances work for nobody.
const IN_VAIN_SHARE: f64 = 0.5;
/// Throughput must grow by this share of the growth of the limit, or the larger limit is not worth its latency.
const GROWTH_MIN: f64 = 0.15;
/// Throughput may shrink by this share of the shrinkage of the limit.
const LOSS_MAX: f64 = 0.1;
/// Where the reference vouches for the limit, fewer places must bring so much more throughput: some applications do less the more they
/// are given.
const GAIN_MIN: f64 = 0.3;
/// Throughput that grows like this with the limit comes from instances that are not busy: their latency is a reference.
const GROWTH_FREE: f64 = 0.8;
/// One strange period shall not make all others look useless.
const DISPERSION_MAX: f64 = 25.0;
/// A trial ends early when its result is this many standard errors away from the line.
const CLEAR: f64 = 2.5;
/// Trials by schedule. Up may be bold.
const UP: f64 = 1.5;
const DOWN: f64 = 0.8;
/// Without a reference there may be a long way to go, and a long step is easier to judge.
const DOWN_BLIND: f64 = 0.65;
/// Latency like this is flat: the instances are not busy at all, and the limit may make leaps.
const FLAT: f64 = 1.25;
const LEAP: f64 = 3.0;
/// Steady periods between scheduled trials up, and down; doubled by each failure.
const UP_EVERY: u32 = 16;
const DOWN_EVERY: u32 = 24;
/// A trial up costs a little latency, one down may cost throughput.
const UP_EVERY_MAX: u32 = 64;
const DOWN_EVERY_MAX: u32 = 256;
/// Beyond this change of throughput at an unchanged limit it is another load or another application.
const DRIFT: f64 = 0.15;
/// A reference that rests on less is not used; it is never so firm that it could not change within seconds.
const REFERENCE_WEIGHT_MIN: f64 = 50.0;
const REFERENCE_WEIGHT_MAX: f64 = 1_000.0;
/// A reference older than this says little about today.
const REFERENCE_AGE_NS: u64 = 600_000_000_000;

/// What to do next: the limit, and how long to look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub limit: usize,
    /// Answers of requests that began under another limit are not to be counted: let so much time pass first.
    pub settle_ns: u64,
    /// Answers for a first impression, with an error of an eighth.
    pub served_min: u64,
}

/// How a limit is bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub initial: usize,
    pub min: usize,
    pub max: usize,
}

/// A limit and what was measured under it.
#[derive(Clone, Copy, Debug)]
struct Point {
    limit: f64,
    served: f64,
    seconds: f64,
    /// How uneven the work is: the standard error of the throughput is this over the root of the answers.
    variation: f64,
}

impl Point {
    fn new(limit: f64, period: &Period, variation: f64) -> Self {
        // Half an answer rather than none: logarithms follow.
        let served = (period.served as f64).max(0.5);
        Self { limit, served, seconds: period.elapsed_ns as f64 / 1e9, variation }
    }

    fn throughput(&self) -> f64 {
        self.served / self.seconds.max(1e-9)
    }

    /// The relative standard error of the throughput.
    fn error(&self) -> f64 {
        self.variation / self.served.sqrt()
    }

    /// More would not make the judgement of such a step much surer, or would take too long.
    fn is_enough_for(&self, step: f64) -> bool {
        self.error() <= (0.1 * step.abs()).max(0.02) || self.seconds >= 3.0
    }

    /// Enough was seen to compare small steps with.
    fn is_settled(&self) -> bool {
        self.served >= 500.0 || self.seconds >= 2.0
    }

    /// What several periods under one limit say together. What is known fades, so that it can change.
    fn merge(self, now: Self) -> Self {
        let keep = (1_000.0 / self.served).min(1.0);
        Self {
            limit: now.limit,
            served: self.served * keep + now.served,
            seconds: self.seconds * keep + now.seconds,
            variation: self.variation.midpoint(now.variation),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Reference {
    latency_ns: f64,
    /// The share of clients that leave before their answer although the instances have room: a route that is slower than they are patient.
    abandoned: f64,
    /// How long places are held for those, spread over all requests.
    lost_ns: f64,
    /// Answers it rests on, those of uneven work counting less.
    weight: f64,
    at_ns: u64,
    /// A limit that it suggested was too low.
    is_doubted: bool,
}

#[derive(Clone, Copy, Debug)]
struct Room {
    /// The limit that is enough.
    enough: f64,
    /// How many times the reference an answer takes.
    stretch: f64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nobody waits.
    Calm,
    /// The limit is believed in.
    Steady(Point),
    /// Another limit is tried; `from` is where it goes back to, `seen` what was measured so far.
    Trial { from: Point, seen: Option<Point> },
}

/// A direction's schedule.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    first: u32,
    max: u32,
    every: u32,
    left: u32,
}

impl Schedule {
    fn new(first: u32, max: u32) -> Self {
        Self { first, max, every: first, left: 1 }
    }

    fn is_due(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left == 0
    }

    fn failed(&mut self) {
        self.left = self.every;
        self.every = (self.every * 2).min(self.max);
    }

    fn succeeded(&mut self) {
        self.every = self.first;
        self.left = 1;
    }
}

/// Whatever finds a limit: the gate's part of the agreement, so that the simulator can compare.
pub(super) trait Limit {
    /// Takes the measurements of a period and says what the next one shall be.
    fn close(&mut self, period: &Period) -> Plan;
    /// Another number of instances: the limit for it.
    fn set_bounds(&mut self, bounds: Bounds) -> usize;
}

#[derive(Debug)]
pub(super) struct Limiter {
    bounds: Bounds,
    limit: f64,
    state: State,
    reference: Option<Reference>,
    /// The square of how uneven the work is, from how much throughput differs between periods.
    dispersion: f64,
    /// The throughput to compare later throughput at the same limit with.
    anchor: Option<Point>,
    /// The throughput of the last limited period, for that.
    last: Option<Point>,
    up: Schedule,
    down: Schedule,
    /// The share of requests whose clients left, in this period or one of the last.
    impatience: f64,
}

impl Limiter {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            limit: bounds.initial as f64,
            state: State::Calm,
            reference: None,
            dispersion: 1.0,
            anchor: None,
            last: None,
            up: Schedule::new(UP_EVERY, UP_EVERY_MAX),
            down: Schedule::new(DOWN_EVERY, DOWN_EVERY_MAX),
            impatience: 0.0,
        }
    }

    /// Fewer at once, and no trial upwards for a while: whatever is in flight now will mostly be too late.
    fn in_vain(&mut self, period: &Period) {
        let least = (self.bounds.initial as f64 / 8.0).min(self.limit);
        self.move_to((self.limit.min(period.in_flight as f64) * DOWN_BLIND).max(least));
        self.state = State::Steady(Point::new(self.limit, period, self.variation()));
        self.up = Schedule { left: 2, ..Schedule::new(UP_EVERY, UP_EVERY_MAX) };
    }

    fn calm(&mut self, period: &Period) {
        self.last = None;
        if period.served >= FEW {
            // Nobody waits, so latencies are as uneven as the work.
            self.dispersion += 0.2 * (period.variation().powi(2) - self.dispersion);
        }
        if let State::Trial { from, .. } = self.state {
            self.move_to(from.limit);
        }
        self.state = State::Calm;
        self.refer(period);
        if self.reference.is_none() {
            // Room to learn in.
            self.move_to(self.limit.max(2.0 * period.concurrency()));
        }
        let is_flat = period.served > 0 && self.reference.is_some_and(|it| period.latency_ns() <= it.latency_ns * (FLAT + period.error()));
        if is_flat {
            self.move_to(self.limit.max(2.0 * period.concurrency()));
        }
    }

    /// A calm period with room to spare teaches what an answer takes when the instances are not busy. More is believed
    /// only half: it may be the beginning of a queue.
    fn refer(&mut self, period: &Period) {
        if period.answering() > self.limit / 2.0 || period.served < FEW {
            return;
        }
        self.learn_reference(period);
    }

    fn learn_reference(&mut self, period: &Period) {
        let latency_ns = period.latency_ns();
        let weight = period.served as f64 / period.variation().powi(2);
        let known = self.reference.filter(|it| period.ended_ns.saturating_sub(it.at_ns) < REFERENCE_AGE_NS);
        let abandoned = if period.is_abandoned_apart() { period.abandoned_share() } else { 0.0 };
        let now = Reference { latency_ns, abandoned, lost_ns: period.lost_ns(), weight, at_ns: period.ended_ns, is_doubted: false };
        self.reference = Some(known.map_or(now, |it| {
            let believed = if latency_ns > it.latency_ns { weight / 2.0 } else { weight };
            let mean = |before: f64, seen: f64, weight: f64| (before * it.weight + seen * weight) / (it.weight + weight);
            Reference {
                latency_ns: mean(it.latency_ns, now.latency_ns, believed),
                abandoned: mean(it.abandoned, now.abandoned, weight),
                lost_ns: mean(it.lost_ns, now.lost_ns, weight),
                weight: (it.weight + believed).min(REFERENCE_WEIGHT_MAX),
                ..now
            }
        }));
    }

    fn limited(&mut self, period: &Period) {
        self.learn_dispersion(period);
        let now = Point::new(self.limit, period, self.variation());
        match self.state {
            State::Calm => {
                self.start_over();
                self.steady(now, period);
            }
            State::Steady(known) => {
                let merged = known.merge(now);
                let anchor = *self.anchor.get_or_insert(merged);
                let change = (merged.throughput() / anchor.throughput()).ln().abs();
                let sudden = (now.throughput() / known.throughput()).ln().abs();
                let is_new = known.served >= 20.0 && (sudden > DRIFT.max(3.0 * now.error()) || change > DRIFT.max(3.0 * merged.error()));
                if is_new {
                    self.start_over();
                }
                self.steady(if is_new || known.served < 20.0 { now } else { merged }, period);
            }
            State::Trial { from, seen } => self.judge(from, seen.map_or(now, |seen| seen.merge(now)), period),
        }
    }

    /// Under a limit waiting evens latencies out, but not throughput: only its own changes tell how far to trust it.
    fn learn_dispersion(&mut self, period: &Period) {
        let now = Point::new(self.limit, period, 0.0);
        if let Some(last) = self.last.filter(|last| (last.limit - now.limit).abs() < 0.5) {
            let change = (now.throughput() / last.throughput()).ln();
            let seen = change * change / (1.0 / now.served + 1.0 / last.served);
            self.dispersion += 0.2 * (seen.min(DISPERSION_MAX) - self.dispersion);
        }
        self.last = Some(now);
    }

    fn variation(&self) -> f64 {
        self.dispersion.max(0.5).sqrt()
    }

    /// Another load, or another application: what failed before may work now.
    fn start_over(&mut self) {
        self.anchor = None;
        self.up = Schedule::new(UP_EVERY, UP_EVERY_MAX);
        self.down = Schedule::new(DOWN_EVERY, DOWN_EVERY_MAX);
    }

    fn judge(&mut self, from: Point, now: Point, period: &Period) {
        let step = (now.limit / from.limit).ln();
        let elasticity = (now.throughput() / from.throughput()).ln() / step;
        let doubt = now.error().hypot(from.error()) / step.abs();
        let is_up = step > 0.0;
        let is_vouched_for = self.room(period).is_some_and(|room| room.enough > from.limit / 1.2);
        // How clearly the trial passed, and which way doubt counts.
        let (margin, favour) = match (is_up, self.room(period).is_some(), is_vouched_for) {
            (true, ..) => (elasticity - GROWTH_MIN, -1.0),
            (false, true, false) => (LOSS_MAX - elasticity, 0.5),
            (false, true, true) => (-GAIN_MIN - elasticity, -1.0),
            (false, false, _) => (LOSS_MAX - elasticity, 0.0),
        };
        if margin.abs() < CLEAR * doubt && !now.is_enough_for(step) {
            self.state = State::Trial { from, seen: Some(now) };
            return;
        }
        let is_better = margin + favour * doubt > 0.0;
        if is_up && elasticity - doubt > GROWTH_FREE {
            self.learn_reference(period);
        }
        let schedule = if is_up { &mut self.up } else { &mut self.down };
        if is_better {
            schedule.succeeded();
            self.steady(now, period);
            return;
        }
        schedule.failed();
        if !is_up && !is_vouched_for {
            // Less throughput with fewer places: the reference promised otherwise. Once may be chance, twice is another load.
            self.reference = self.reference.take().filter(|it| !it.is_doubted).map(|it| Reference { is_doubted: true, ..it });
        }
        self.move_to(from.limit);
        self.state = State::Steady(from);
    }

    /// Stays, or begins a trial.
    fn steady(&mut self, point: Point, period: &Period) {
        self.state = State::Steady(point);
        let Some(limit) = self.next_trial(&point, period) else { return };
        self.move_to(limit);
        self.anchor = None;
        if self.whole() != point.limit.round() as usize {
            self.state = State::Trial { from: point, seen: None };
        }
    }

    fn next_trial(&mut self, point: &Point, period: &Period) -> Option<f64> {
        let limit = self.limit;
        let (up_is_due, down_is_due) = (self.up.is_due(), self.down.is_due());
        let may_try = self.impatience < IMPATIENT_SHARE;
        let is_settled = point.is_settled();
        match self.room(period) {
            Some(room) if room.stretch < FLAT && up_is_due && may_try => Some(limit * LEAP),
            Some(room) if room.enough > limit * 1.1 && up_is_due => Some(room.enough.min(limit * 2.0)),
            Some(room) if room.enough < limit / 1.2 => Some(room.enough.max(limit / 4.0)),
            _ if up_is_due && is_settled && may_try => Some((limit * UP).max(limit + 1.0)),
            Some(_) if down_is_due && is_settled => Some((limit * DOWN).min(limit - 1.0)),
            None if down_is_due && is_settled => Some((limit * DOWN_BLIND).min(limit - 1.0)),
            _ => None,
        }
    }

    /// What the reference says about a limited period.
    fn room(&self, period: &Period) -> Option<Room> {
        let reference = self.reference.filter(|it| it.weight >= REFERENCE_WEIGHT_MIN)?;
        let enough = (self.stretch() * reference.latency_ns + reference.lost_ns) * period.worked() / 1e9;
        Some(Room { enough, stretch: period.latency_ns() / reference.latency_ns })
    }

    /// How much longer than calm answers may take.
    fn stretch(&self) -> f64 {
        let impatient = ((self.impatience - IMPATIENT_SHARE) / (3.0 * IMPATIENT_SHARE)).clamp(0.0, 1.0);
        let patient = (STRETCH + STRETCH_UNEVEN * self.variation()).min(STRETCH_MAX);
        patient + (STRETCH_IMPATIENT - patient) * impatient
    }

    fn move_to(&mut self, limit: f64) {
        self.limit = limit.clamp(self.bounds.min as f64, self.bounds.max as f64);
    }

    fn whole(&self) -> usize {
        self.limit.round() as usize
    }
}

impl Limit for Limiter {
    fn set_bounds(&mut self, bounds: Bounds) -> usize {
        // What was found per instance holds for each of those there are now.
        self.limit *= bounds.initial as f64 / self.bounds.initial as f64;
        self.bounds = bounds;
        self.state = State::Calm;
        self.move_to(self.limit);
        self.whole()
    }

    fn close(&mut self, period: &Period) -> Plan {
        let before = self.whole();
        // Believed at once, forgotten within a few periods: after a hang the limit must find its way back.
        let impatience = period.abandoned_beyond(self.reference.map_or(0.0, |it| it.abandoned));
        self.impatience = impatience.max(self.impatience * 0.25);
        if period.is_in_vain() && impatience > IN_VAIN_SHARE {
            self.in_vain(period);
        } else if period.is_limited() {
            self.limited(period);
        } else {
            self.calm(period);
        }
        let limit = self.whole();
        let settle_ns = if limit == before { 0.0 } else { period.latency_ns().min(1e9) };
        Plan { limit, settle_ns: settle_ns as u64, served_min: ((self.variation() * 8.0).powi(2) as u64).clamp(60, 1_000) }
    }
}
