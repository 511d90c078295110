use proptest::prelude::*;

use super::*;

pub(super) struct Instance {
    id: String,
    weight: Weight,
    load: Load,
}

impl Member for Instance {
    fn id(&self) -> &str {
        &self.id
    }

    fn weight(&self) -> Weight {
        self.weight
    }

    fn load(&self) -> &Load {
        &self.load
    }
}

const SECOND: u64 = 1_000_000_000;
/// Late enough that members available from the start are past their slow start.
const LATER: u64 = 1_000 * SECOND;
const POLICIES: [Policy; 4] = [Policy::RoundRobin, Policy::LeastConnections, Policy::P2cEwma, Policy::ConsistentHash];

pub(super) fn balancer(policy: Policy, weights: &[u32]) -> Balancer<Instance> {
    let instance = |(number, weight): (usize, &u32)| Instance {
        id: format!("api-{number}"),
        weight: Weight::try_from(*weight).unwrap(),
        load: Load::default(),
    };
    Balancer::new(Config { policy, ..Config::default() }, weights.iter().enumerate().map(instance).collect())
}

/// How often each member is picked when `picks` requests come one at a time, each answered after `latency_ns`.
fn shares(balancer: &Balancer<Instance>, eligible: impl Fn(usize) -> bool, picks: u64, latency_ns: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut counts = vec![0.0; balancer.members().len()];
    for request in 0..picks {
        let now_ns = LATER + request * 10_000_000;
        let key = hash_key(&request.to_le_bytes());
        let member = balancer.pick(&eligible, Some(key), now_ns, &mut rng).unwrap();
        counts[member] += 1.0 / picks as f64;
        let load = balancer.members()[member].load();
        let mut in_flight = load.begin(now_ns);
        load.answered(&mut in_flight, now_ns + latency_ns, balancer.config.decay);
        load.finish(in_flight, now_ns + latency_ns);
    }
    counts
}

#[track_caller]
fn assert_close(shares: &[f64], expected: &[f64], within: f64) {
    let close = shares.iter().zip(expected).all(|(share, expected)| (share - expected).abs() <= within);
    assert!(close && shares.len() == expected.len(), "{shares:?} is not {expected:?} within {within}");
}

#[test]
fn round_robin_is_exact_over_a_cycle() {
    assert_close(&shares(&balancer(Policy::RoundRobin, &[1, 1, 1]), |_| true, 300, 0), &[1.0 / 3.0; 3], 1e-9);
    assert_close(&shares(&balancer(Policy::RoundRobin, &[5, 3, 2]), |_| true, 1_000, 0), &[0.5, 0.3, 0.2], 1e-9);
}

#[test]
fn round_robin_stays_exact_among_the_rest_when_one_is_out() {
    let shares = shares(&balancer(Policy::RoundRobin, &[1, 4, 2, 1]), |member| member != 1, 4_000, 0);
    assert_close(&shares, &[0.25, 0.0, 0.5, 0.25], 1e-9);
}

#[test]
fn weights_hold_in_the_long_run_for_every_policy_even_when_all_are_idle() {
    for policy in POLICIES {
        let shares = shares(&balancer(policy, &[6, 3, 1]), |_| true, 20_000, 2_000_000);
        assert_close(&shares, &[0.6, 0.3, 0.1], 0.015);
    }
}

#[test]
fn two_members_share_by_weight_too() {
    for policy in POLICIES {
        let shares = shares(&balancer(policy, &[3, 1]), |_| true, 20_000, 2_000_000);
        assert_close(&shares, &[0.75, 0.25], 0.015);
    }
}

#[test]
fn held_requests_settle_by_weight_under_the_policies_that_count_them() {
    for policy in [Policy::LeastConnections, Policy::P2cEwma] {
        let balancer = balancer(policy, &[6, 3, 1]);
        let mut rng = fastrand::Rng::with_seed(3);
        let mut held = Vec::new();
        for _ in 0..1_000 {
            let member = balancer.pick(|_| true, None, LATER, &mut rng).unwrap();
            held.push(balancer.members()[member].load().begin(LATER));
        }
        let in_flight: Vec<_> = balancer.members().iter().map(|member| f64::from(member.load().in_flight()) / 1_000.0).collect();
        assert_close(&in_flight, &[0.6, 0.3, 0.1], 0.02);
    }
}

#[test]
fn least_connections_avoids_the_busiest() {
    let balancer = balancer(Policy::LeastConnections, &[1, 1, 1]);
    let _first = balancer.members()[0].load().begin(LATER);
    let _second = balancer.members()[2].load().begin(LATER);
    let mut rng = fastrand::Rng::with_seed(1);
    assert_eq!(balancer.pick(|_| true, None, LATER, &mut rng), Some(1));
    assert_eq!(balancer.pick(|member| member != 1, None, LATER, &mut rng).map(|member| member % 2), Some(0));
}

#[test]
fn a_key_stays_with_its_member_and_comes_back_to_it() {
    let balancer = balancer(Policy::ConsistentHash, &[1, 2, 1]);
    let mut rng = fastrand::Rng::with_seed(1);
    let key = Some(hash_key(b"ada"));
    let home = balancer.pick(|_| true, key, LATER, &mut rng).unwrap();
    let away = balancer.pick(|member| member != home, key, LATER, &mut rng).unwrap();
    assert_ne!(home, away);
    for now_ns in [0, LATER, 2 * LATER] {
        assert_eq!(balancer.pick(|_| true, key, now_ns, &mut rng), Some(home));
        assert_eq!(balancer.pick(|member| member != home, key, now_ns, &mut rng), Some(away));
    }
}

#[test]
fn a_fresh_member_takes_its_share_gradually() {
    for policy in [Policy::RoundRobin, Policy::LeastConnections, Policy::P2cEwma] {
        let balancer = balancer(policy, &[1, 1, 1]);
        balancer.members()[1].load().available_from(LATER);
        let share_at = |second: u64| {
            let mut rng = fastrand::Rng::with_seed(second);
            let picks = 10_000;
            let fresh = |_: &u32| balancer.pick(|_| true, None, LATER + second * SECOND, &mut rng) == Some(1);
            f64::from((0..picks).filter(fresh).count() as u32) / f64::from(picks)
        };
        let (young, half, grown) = (share_at(0), share_at(5), share_at(10));
        assert!((0.03..0.08).contains(&young), "{policy:?}: {young}");
        assert!((0.15..0.25).contains(&half), "{policy:?}: {half}");
        assert!((0.3..0.37).contains(&grown), "{policy:?}: {grown}");
    }
}

#[test]
fn a_burst_does_not_flood_a_fresh_member() {
    for policy in [Policy::LeastConnections, Policy::P2cEwma] {
        let balancer = balancer(policy, &[1, 1, 1, 1]);
        balancer.members()[3].load().available_from(LATER);
        let mut rng = fastrand::Rng::with_seed(5);
        let mut held = Vec::new();
        for _ in 0..100 {
            let member = balancer.pick(|_| true, None, LATER, &mut rng).unwrap();
            held.push(balancer.members()[member].load().begin(LATER));
        }
        let fresh = balancer.members()[3].load().in_flight();
        assert!((1..=6).contains(&fresh), "{policy:?} gave {fresh} of 100");
    }
}

#[test]
fn a_fleet_that_starts_together_shares_evenly_from_the_first_seconds() {
    for policy in POLICIES {
        let balancer = balancer(policy, &[1, 1, 1]);
        for (number, member) in balancer.members().iter().enumerate() {
            member.load().available_from(LATER - 2 * SECOND + number as u64 * SECOND / 20);
        }
        assert_close(&shares(&balancer, |_| true, 3_000, 1_000_000), &[1.0 / 3.0; 3], 0.025);
    }
}

#[test]
fn nobody_is_picked_from_nobody() {
    let mut rng = fastrand::Rng::with_seed(1);
    for policy in POLICIES {
        for key in [None, Some(1)] {
            assert_eq!(balancer(policy, &[]).pick(|_| true, key, 0, &mut rng), None);
            assert_eq!(balancer(policy, &[1, 256]).pick(|_| false, key, 0, &mut rng), None);
        }
    }
}

#[test]
fn workers_share_one_exact_rotation() {
    let balancer = balancer(Policy::RoundRobin, &[2, 1, 1]);
    let totals: Vec<_> = (0..3).map(|_| AtomicUsize::new(0)).collect();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (balancer, totals) = (&balancer, &totals);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(worker);
                for _ in 0..10_000 {
                    let member = balancer.pick(|_| true, None, LATER, &mut rng).unwrap();
                    totals[member].fetch_add(1, Relaxed);
                }
            });
        }
    });
    assert_eq!(totals.into_iter().map(AtomicUsize::into_inner).collect::<Vec<_>>(), [20_000, 10_000, 10_000]);
}

proptest! {
    #[test]
    fn whoever_is_picked_was_eligible_and_somebody_is_if_anybody_was(
        members in prop::collection::vec((1_u32..=256, any::<bool>(), 0_u64..30, 0_usize..4), 0..20),
        key in any::<Option<u64>>(),
        seed in any::<u64>(),
    ) {
        let weights: Vec<_> = members.iter().map(|(weight, ..)| *weight).collect();
        for policy in POLICIES {
            let balancer = balancer(policy, &weights);
            let mut held = Vec::new();
            for (member, (_, _, second, in_flight)) in balancer.members().iter().zip(&members) {
                member.load().available_from(second * SECOND);
                held.extend((0..*in_flight).map(|_| member.load().begin(second * SECOND)));
            }
            let mut rng = fastrand::Rng::with_seed(seed);
            for _ in 0..5 {
                let picked = balancer.pick(|member| members[member].1, key, 15 * SECOND, &mut rng);
                prop_assert_eq!(picked.is_some(), members.iter().any(|(_, eligible, ..)| *eligible));
                prop_assert!(picked.is_none_or(|member| members[member].1), "{:?} picked {:?}", policy, picked);
            }
        }
    }
}
