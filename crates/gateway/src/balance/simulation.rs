//! The policies in a small world: a discrete-event simulation of members with a few workers each, seeded, without a clock.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::tests::{Instance, balancer};
use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// The world begins late enough that nobody is in a slow start.
const START: u64 = 1_000 * SECOND;
const MEMBERS: usize = 4;
/// Requests that one member works on at the same time; the rest queue there.
const WORKERS: usize = 8;

/// The mean time that a member needs for one request, in milliseconds, at a moment of the world. Infinite: it hangs.
type Service = fn(member: usize, second: u64) -> f64;

struct World {
    balancer: Balancer<Instance>,
    service: Service,
    rng: fastrand::Rng,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    sequence: u64,
    members: Vec<Desk>,
    report: Report,
}

#[derive(Default)]
struct Desk {
    busy: usize,
    queue: VecDeque<(u64, InFlight)>,
    working: Vec<Option<(u64, InFlight)>>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrive,
    Finish { member: usize, slot: usize },
}

#[derive(Default)]
struct Report {
    latencies_ms: Vec<f64>,
    sent: [u64; MEMBERS],
}

impl Report {
    fn p99(&mut self) -> f64 {
        self.latencies_ms.sort_by(f64::total_cmp);
        self.latencies_ms[self.latencies_ms.len() * 99 / 100]
    }

    fn share(&self, member: usize) -> f64 {
        self.sent[member] as f64 / self.sent.iter().sum::<u64>() as f64
    }
}

/// Requests arrive at random, `rate` per second for `seconds`; those still unanswered at the end count as having waited until then.
fn simulate(policy: Policy, weights: [u32; MEMBERS], rate: f64, seconds: u64, service: Service) -> Report {
    let mut world = World {
        balancer: balancer(policy, &weights),
        service,
        rng: fastrand::Rng::with_seed(42),
        events: BinaryHeap::new(),
        sequence: 0,
        members: (0..MEMBERS).map(|_| Desk::default()).collect(),
        report: Report::default(),
    };
    world.schedule(START, Event::Arrive);
    let end_ns = START + seconds * SECOND;
    while let Some(Reverse((now_ns, _, event))) = world.events.pop() {
        if now_ns >= end_ns {
            break;
        }
        match event {
            Event::Arrive => {
                let next_ns = now_ns + (exponential(&mut world.rng) / rate * SECOND as f64) as u64;
                world.schedule(next_ns, Event::Arrive);
                world.arrive(now_ns);
            }
            Event::Finish { member, slot } => world.finish(member, slot, now_ns),
        }
    }
    let unanswered = world.members.iter().flat_map(|desk| desk.queue.iter().chain(desk.working.iter().flatten()));
    let waited = unanswered.map(|(arrived_ns, _)| (end_ns - arrived_ns) as f64 / MS as f64);
    world.report.latencies_ms.extend(waited);
    world.report
}

impl World {
    fn schedule(&mut self, at_ns: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at_ns, self.sequence, event)));
    }

    fn arrive(&mut self, now_ns: u64) {
        let key = self.rng.u64(..);
        let member = self.balancer.pick(|_| true, Some(key), now_ns, &mut self.rng).unwrap();
        self.report.sent[member] += 1;
        let in_flight = self.balancer.members()[member].load().begin(now_ns);
        let desk = &mut self.members[member];
        desk.queue.push_back((now_ns, in_flight));
        if desk.busy < WORKERS {
            desk.busy += 1;
            self.work(member, now_ns);
        }
    }

    /// A worker of this member takes the next request of its queue, or rests.
    fn work(&mut self, member: usize, now_ns: u64) {
        let desk = &mut self.members[member];
        let Some(next) = desk.queue.pop_front() else {
            desk.busy -= 1;
            return;
        };
        let slot = desk.working.iter().position(Option::is_none).unwrap_or_else(|| {
            desk.working.push(None);
            desk.working.len() - 1
        });
        desk.working[slot] = Some(next);
        let mean_ms = (self.service)(member, (now_ns - START) / SECOND);
        if mean_ms.is_finite() {
            let takes_ns = exponential(&mut self.rng) * mean_ms * MS as f64;
            self.schedule(now_ns + takes_ns as u64, Event::Finish { member, slot });
        }
    }

    fn finish(&mut self, member: usize, slot: usize, now_ns: u64) {
        let (arrived_ns, mut in_flight) = self.members[member].working[slot].take().unwrap();
        let load = self.balancer.members()[member].load();
        load.answered(&mut in_flight, now_ns, self.balancer.config.decay);
        load.finish(in_flight, now_ns);
        self.report.latencies_ms.push((now_ns - arrived_ns) as f64 / MS as f64);
        self.work(member, now_ns);
    }
}

fn exponential(rng: &mut fastrand::Rng) -> f64 {
    -(1.0 - rng.f64()).ln()
}

fn one_is_ten_times_slower(member: usize, _: u64) -> f64 {
    if member == 2 { 50.0 } else { 5.0 }
}

/// From its tenth second on.
fn one_hangs(member: usize, second: u64) -> f64 {
    if member == 2 && second >= 10 { f64::INFINITY } else { 5.0 }
}

fn one_is_slow_for_a_while(member: usize, second: u64) -> f64 {
    if member == 2 && second < 20 { 100.0 } else { 5.0 }
}

/// As a process that has just started.
fn one_begins_slowly(member: usize, second: u64) -> f64 {
    if member == 2 && second == 0 { 30.0 } else { 1.0 }
}

fn all_alike(_: usize, _: u64) -> f64 {
    5.0
}

#[test]
fn equal_members_get_even_shares() {
    for policy in [Policy::RoundRobin, Policy::LeastConnections, Policy::P2cEwma, Policy::ConsistentHash] {
        for (rate, seconds) in [(50.0, 1_000), (3_000.0, 60)] {
            let report = simulate(policy, [1; MEMBERS], rate, seconds, all_alike);
            for member in 0..MEMBERS {
                let share = report.share(member);
                assert!((share - 0.25).abs() < 0.02, "{policy:?} at {rate}/s gave member {member} {share}");
            }
        }
    }
}

#[test]
fn one_slow_member_in_four_does_not_set_the_tail() {
    // At this rate even a quarter of the requests does not overload the slow member: its slowness alone makes the difference.
    let mut round_robin = simulate(Policy::RoundRobin, [1; MEMBERS], 400.0, 60, one_is_ten_times_slower);
    let mut p2c = simulate(Policy::P2cEwma, [1; MEMBERS], 400.0, 60, one_is_ten_times_slower);
    let (before, after) = (round_robin.p99(), p2c.p99());
    assert!(after * 5.0 < before, "p99 {after} ms against {before} ms");
    assert!(p2c.share(2) < 0.02, "the slow member still got {}", p2c.share(2));
}

#[test]
fn a_member_that_hangs_holds_only_a_handful() {
    let report = simulate(Policy::P2cEwma, [1; MEMBERS], 1_000.0, 60, one_hangs);
    let stuck = report.latencies_ms.iter().filter(|latency| **latency > 1_000.0).count();
    assert!(stuck < 20, "{stuck} of {} requests hang", report.latencies_ms.len());
}

#[test]
fn a_member_that_recovers_gets_its_share_back() {
    let first = simulate(Policy::P2cEwma, [1; MEMBERS], 1_000.0, 20, one_is_slow_for_a_while);
    assert!(first.share(2) < 0.02, "while slow it got {}", first.share(2));
    let all = simulate(Policy::P2cEwma, [1; MEMBERS], 1_000.0, 120, one_is_slow_for_a_while);
    let after = (all.sent[2] - first.sent[2]) as f64 / (all.sent.iter().sum::<u64>() - first.sent.iter().sum::<u64>()) as f64;
    assert!(after > 0.15, "after it recovered it got {after}");
}

#[test]
fn a_member_that_begins_slowly_serves_within_five_seconds() {
    let sent = |seconds| simulate(Policy::P2cEwma, [1; MEMBERS], 200.0, seconds, one_begins_slowly).sent[2];
    let (early, late) = (sent(5), sent(10));
    // A quarter of a thousand requests is an even share.
    assert!(late - early > 200, "in the second five seconds it got {}", late - early);
}

#[test]
fn weights_hold_under_load() {
    for policy in [Policy::RoundRobin, Policy::LeastConnections, Policy::P2cEwma, Policy::ConsistentHash] {
        let report = simulate(policy, [3, 1, 1, 1], 1_500.0, 60, all_alike);
        // Counting requests in flight pulls towards the emptier member: with few of them, a heavy member gets less than its weight.
        for (member, expected) in [0.5, 1.0 / 6.0, 1.0 / 6.0, 1.0 / 6.0].into_iter().enumerate() {
            let share = report.share(member);
            assert!((share - expected).abs() < 0.08, "{policy:?} gave member {member} {share}, not {expected}");
        }
    }
}
