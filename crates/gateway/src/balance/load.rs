//! What one member is doing right now, in atomics that every worker reads and writes without a lock.
//!
//! The latency estimate is a peak-EWMA: it jumps to a new peak at once and decays exponentially, so one slow answer is believed
//! immediately and forgiven slowly. Three rules make it hold where the textbook version does not:
//! - *Silence counts.* While requests wait for an answer, the member is at least as slow as the time since it last gave one, so a
//!   member that hangs becomes expensive before its first time-out.
//! - *Only idleness forgives.* The estimate decays for a member that nobody waits for, so a slow member is tried again with one
//!   request; until that is answered the old estimate stands.
//! - *A failure is no answer.* A request that ends without one can raise the estimate and never lower it, or a member that refuses
//!   within microseconds would look like the fastest of all.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Stamps count units of 2^20 ns, about a millisecond, so that a stamp and its value share one atomic word.
const TICK_LOG2: u32 = 20;

/// What a member that never answered is assumed to need while its first request is under way: others go elsewhere until then.
const UNKNOWN_LATENCY: Duration = Duration::from_secs(1);

/// The live load of one member. It lives as long as the member does, whatever pools come and go around it.
#[derive(Debug, Default)]
// On its own cache line: it is written on every request, and its neighbours (health, ejection) are read on every request.
#[repr(align(64))]
pub struct Load {
    in_flight: AtomicU32,
    /// How many requests wait for the head of their answer, and when the last one came (or the first of them began).
    waiting: AtomicU64,
    /// The peak-EWMA in nanoseconds, as the bits of an `f32`, and when it last changed. Zero: never answered.
    latency: AtomicU64,
    available_from_ns: AtomicU64,
}

/// The place of one request in a member's [`Load`]. It can be given back only once.
#[derive(Debug)]
#[must_use = "give it back with `Load::finish`, or the member looks busy for ever"]
pub struct InFlight(Stage);

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// It is the member's turn.
    Waiting {
        since_ns: u64,
    },
    /// It is the client's turn: the time does not count.
    Paused,
    Answered,
}

impl Load {
    /// A request is on its way to this member.
    pub fn begin(&self, now_ns: u64) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        self.wait_from(now_ns)
    }

    /// From here on the client decides how long it takes: its body is still coming. A slow upload must not look like a slow member.
    pub fn pause(&self, request: &mut InFlight) {
        if let Stage::Waiting { .. } = request.0 {
            request.0 = Stage::Paused;
            self.stop_waiting();
        }
    }

    /// The member has all of the request: the answer is due.
    pub fn resume(&self, request: &mut InFlight, now_ns: u64) {
        if request.0 == Stage::Paused {
            *request = self.wait_from(now_ns);
        }
    }

    fn wait_from(&self, now_ns: u64) -> InFlight {
        update(&self.waiting, |waiting| match waiting.value {
            0 => Stamped { value: 1, tick: tick_of(now_ns) },
            count => Stamped { value: count + 1, tick: waiting.tick },
        });
        InFlight(Stage::Waiting { since_ns: now_ns })
    }

    fn stop_waiting(&self) {
        update(&self.waiting, |waiting| Stamped { value: waiting.value.saturating_sub(1), ..waiting });
    }

    /// The head of the answer is here. Not to be called for an answer that is really a failure, such as a 502 or a 503.
    pub fn answered(&self, request: &mut InFlight, now_ns: u64, decay: Duration) {
        let stage = std::mem::replace(&mut request.0, Stage::Answered);
        let waited = u32::from(matches!(stage, Stage::Waiting { .. }));
        update(&self.waiting, |waiting| Stamped { value: waiting.value.saturating_sub(waited), tick: tick_of(now_ns) });
        if let Stage::Waiting { since_ns } = stage {
            self.sample(now_ns.saturating_sub(since_ns) as f32, now_ns, decay);
        }
    }

    fn sample(&self, latency_ns: f32, now_ns: u64, decay: Duration) {
        let now = tick_of(now_ns);
        update(&self.latency, |latency| {
            let known = f32::from_bits(latency.value);
            let keep = decayed(ticks_between(latency.tick, now), decay);
            let next = if latency_ns > known { latency_ns } else { known * keep + latency_ns * (1.0 - keep) };
            // A zero would mean "never answered".
            Stamped { value: next.max(1.0).to_bits(), tick: now }
        });
    }

    /// The request is over: its answer was passed on to the end, or there will be none.
    #[expect(clippy::needless_pass_by_value, reason = "taking it is what makes a second finish impossible")]
    pub fn finish(&self, request: InFlight, now_ns: u64) {
        if let Stage::Waiting { since_ns } = request.0 {
            self.stop_waiting();
            self.at_least(now_ns.saturating_sub(since_ns) as f32, now_ns);
        }
        self.in_flight.fetch_sub(1, Relaxed);
    }

    /// A request waited this long in vain: the member is at least as slow. A member that never answered stays unknown.
    fn at_least(&self, waited: f32, now_ns: u64) {
        update(&self.latency, |latency| {
            let known = f32::from_bits(latency.value);
            if known > 0.0 && waited > known { Stamped { value: waited.to_bits(), tick: tick_of(now_ns) } } else { latency }
        });
    }

    /// Starts the slow start, now or (after an ejection) later.
    pub fn available_from(&self, from_ns: u64) {
        self.available_from_ns.store(from_ns, Relaxed);
    }

    /// Requests sent and not over, streams included.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// How long this member has been available; zero while that lies ahead.
    pub(super) fn age_ns(&self, now_ns: u64) -> u64 {
        now_ns.saturating_sub(self.available_from_ns.load(Relaxed))
    }

    /// How long the next request may have to wait for its answer, in nanoseconds. Zero for a member that wants trying.
    pub(super) fn expected_latency(&self, now_ns: u64, decay: Duration) -> f32 {
        let now = tick_of(now_ns);
        let latency = Stamped::unpack(self.latency.load(Relaxed));
        let known = f32::from_bits(latency.value);
        let is_tried_first = latency.value == 0 && self.in_flight() > 0;
        let known = if is_tried_first { UNKNOWN_LATENCY.as_nanos() as f32 } else { known };
        let waiting = Stamped::unpack(self.waiting.load(Relaxed));
        if waiting.value > 0 {
            known.max(nanos_of(ticks_between(waiting.tick, now)))
        } else if is_tried_first {
            known
        } else {
            known * decayed(ticks_between(latency.tick, now), decay)
        }
    }

    /// The latency estimate as an operator would see it; `None` before the first answer.
    pub fn latency(&self, now_ns: u64, decay: Duration) -> Option<Duration> {
        let known = Stamped::unpack(self.latency.load(Relaxed)).value != 0;
        known.then(|| Duration::from_nanos(self.expected_latency(now_ns, decay) as u64))
    }
}

/// A value and when it was last true, in one atomic word.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamped {
    value: u32,
    tick: u32,
}

impl Stamped {
    fn unpack(word: u64) -> Self {
        Self { value: (word >> 32) as u32, tick: word as u32 }
    }

    fn pack(self) -> u64 {
        u64::from(self.value) << 32 | u64::from(self.tick)
    }
}

/// Replaces the word, and writes only when that changes it: most samples fall into a tick that already had one.
fn update(word: &AtomicU64, change: impl Fn(Stamped) -> Stamped) {
    let mut old = word.load(Relaxed);
    loop {
        let new = change(Stamped::unpack(old)).pack();
        if new == old {
            return;
        }
        match word.compare_exchange_weak(old, new, Relaxed, Relaxed) {
            Ok(_) => return,
            Err(current) => old = current,
        }
    }
}

fn tick_of(ns: u64) -> u32 {
    (ns >> TICK_LOG2) as u32
}

/// Ticks wrap after 52 days; another worker may also have stamped a moment that is still ahead of ours: that is no time at all.
fn ticks_between(earlier: u32, later: u32) -> u32 {
    (later.wrapping_sub(earlier) as i32).max(0) as u32
}

fn nanos_of(ticks: u32) -> f32 {
    (u64::from(ticks) << TICK_LOG2) as f32
}

/// The share of an estimate that is left after so many ticks.
fn decayed(ticks: u32, decay: Duration) -> f32 {
    if ticks == 0 { 1.0 } else { (-nanos_of(ticks) / decay.as_nanos() as f32).exp() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);
    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;

    fn answer_after(load: &Load, began_ns: u64, latency_ns: u64) {
        let mut request = load.begin(began_ns);
        load.answered(&mut request, began_ns + latency_ns, DECAY);
        load.finish(request, began_ns + latency_ns);
    }

    fn expected_ms(load: &Load, now_ns: u64) -> f32 {
        load.expected_latency(now_ns, DECAY) / MS as f32
    }

    #[test]
    fn a_new_peak_is_believed_at_once_and_forgiven_slowly() {
        let load = Load::default();
        answer_after(&load, 0, 5 * MS);
        answer_after(&load, SECOND, 100 * MS);
        assert!((99.0..=100.0).contains(&expected_ms(&load, SECOND + 100 * MS)));
        answer_after(&load, 2 * SECOND, 5 * MS);
        assert!(expected_ms(&load, 2 * SECOND + 5 * MS) > 80.0, "one quick answer does not outweigh a peak");
        for second in 3..60 {
            answer_after(&load, second * SECOND, 5 * MS);
        }
        assert!((4.9..6.0).contains(&expected_ms(&load, 59 * SECOND + 5 * MS)));
    }

    #[test]
    fn many_answers_in_one_tick_weigh_no_more_than_the_time_they_cover() {
        let load = Load::default();
        answer_after(&load, 0, 100 * MS);
        for step in 0..100_000 {
            answer_after(&load, SECOND + step * 10_000, MS);
        }
        // One second of quick answers against a time constant of ten.
        let expected = 1.0 + 99.0 * (-(1.0_f32 + 1.0) / 10.0).exp();
        let read = expected_ms(&load, 2 * SECOND);
        assert!((read - expected).abs() < 2.0, "{read} ms, not {expected} ms");
    }

    #[test]
    fn silence_makes_a_hanging_member_expensive_before_anything_times_out() {
        let load = Load::default();
        answer_after(&load, 0, MS);
        let request = load.begin(SECOND);
        assert!(expected_ms(&load, SECOND + 2 * MS) < 3.0);
        assert!(expected_ms(&load, 4 * SECOND) > 2_900.0);
        load.finish(request, 4 * SECOND);
        assert!(expected_ms(&load, 4 * SECOND) > 2_900.0, "giving up on it does not make it fast");
    }

    #[test]
    fn a_long_stream_after_its_head_is_not_silence() {
        let load = Load::default();
        let mut stream = load.begin(0);
        load.answered(&mut stream, MS, DECAY);
        assert_eq!(load.in_flight(), 1);
        assert!(expected_ms(&load, 3_600 * SECOND) < 1.0);
        load.finish(stream, 3_600 * SECOND);
        assert_eq!(load.in_flight(), 0);
    }

    #[test]
    fn a_slow_upload_does_not_look_like_a_slow_member() {
        let load = Load::default();
        answer_after(&load, 0, 5 * MS);
        let mut upload = load.begin(SECOND);
        load.pause(&mut upload);
        assert!(expected_ms(&load, 61 * SECOND) < 5.0, "the client takes its time");
        load.resume(&mut upload, 61 * SECOND);
        assert!(expected_ms(&load, 64 * SECOND) > 2_900.0, "now the member does");
        load.answered(&mut upload, 64 * SECOND, DECAY);
        assert!((2_900.0..3_001.0).contains(&expected_ms(&load, 64 * SECOND)));
        load.finish(upload, 64 * SECOND);

        let mut refused_early = load.begin(100 * SECOND);
        load.pause(&mut refused_early);
        load.answered(&mut refused_early, 200 * SECOND, DECAY);
        load.resume(&mut refused_early, 201 * SECOND);
        load.finish(refused_early, 202 * SECOND);
        assert!(expected_ms(&load, 202 * SECOND) < 1.0, "nobody waits, nothing was measured");
    }

    #[test]
    fn a_quick_failure_does_not_look_like_a_quick_answer() {
        let load = Load::default();
        answer_after(&load, 0, 50 * MS);
        for step in 1..=100 {
            let request = load.begin(step * MS + SECOND);
            load.finish(request, step * MS + SECOND + 1_000);
        }
        assert!(expected_ms(&load, SECOND + 101 * MS) > 40.0);
    }

    #[test]
    fn an_idle_slow_member_becomes_worth_one_try_and_only_one() {
        let load = Load::default();
        answer_after(&load, 0, SECOND);
        let later = 61 * SECOND;
        assert!(expected_ms(&load, later) < 3.0, "idle for a minute: worth trying");
        let request = load.begin(later);
        assert!(expected_ms(&load, later) > 900.0, "one is trying: the old estimate stands");
        load.finish(request, later);
    }

    #[test]
    fn an_unknown_member_wants_one_try() {
        let load = Load::default();
        assert!(load.latency(0, DECAY).is_none());
        assert!(load.expected_latency(0, DECAY) <= 0.0);
        let request = load.begin(0);
        assert!(expected_ms(&load, 0) >= 1_000.0);
        assert!(expected_ms(&load, 5 * SECOND) >= 4_900.0);
        load.finish(request, 5 * SECOND);
        assert!(load.expected_latency(5 * SECOND, DECAY) <= 0.0, "it wants another");
    }

    #[test]
    fn counts_return_to_zero_under_threads() {
        let load = Load::default();
        std::thread::scope(|scope| {
            for worker in 0..4_u64 {
                let load = &load;
                scope.spawn(move || {
                    for step in 0..50_000_u64 {
                        let mut request = load.begin(step * 1_000);
                        assert!((1..=4).contains(&load.in_flight()));
                        if step.is_multiple_of(5) {
                            load.pause(&mut request);
                        }
                        if step.is_multiple_of(2) {
                            load.resume(&mut request, step * 1_000 + 5);
                        }
                        if !(step + worker).is_multiple_of(3) {
                            load.answered(&mut request, step * 1_000 + 10, DECAY);
                        }
                        load.finish(request, step * 1_000 + 20);
                    }
                });
            }
        });
        assert_eq!(load.in_flight(), 0);
        assert_eq!(Stamped::unpack(load.waiting.load(Relaxed)).value, 0);
    }

    #[test]
    fn clocks_that_disagree_between_workers_are_no_time_at_all() {
        assert_eq!(ticks_between(10, 9), 0);
        assert_eq!(ticks_between(u32::MAX, 4), 5);
    }
}
