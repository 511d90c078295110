//! The queue by itself: order, fairness, bounds.

use proptest::prelude::*;

use super::*;

const MS: u64 = 1_000_000;

fn queue(waiters_max: usize) -> Queue<u64> {
    let mut queue = Queue::new(Bounds { waiters_max, wait_max_ns: 500 * MS, wait_overloaded_ns: 50 * MS });
    queue.learn_drain(1_000.0, 1_000.0);
    queue
}

fn arrival(now_ns: u64, priority: Priority, tenant: u64) -> Arrival {
    Arrival { now_ns, priority, tenant, deadline_ns: u64::MAX, start_by_ns: u64::MAX }
}

fn called(queue: &mut Queue<u64>, now_ns: u64) -> Option<u64> {
    match queue.next(now_ns) {
        Some(Next::Admit(waiter)) => Some(waiter),
        Some(Next::Deny(..)) => panic!("denied"),
        None => None,
    }
}

#[test]
fn critical_comes_before_normal_before_sheddable_and_each_in_order() {
    let mut queue = queue(100);
    for (waiter, priority) in [(1, Priority::Sheddable), (2, Priority::Normal), (3, Priority::Critical), (4, Priority::Normal)] {
        queue.arrive(arrival(waiter, priority, 0), waiter).ticket.unwrap();
    }
    let order: Vec<u64> = std::iter::from_fn(|| called(&mut queue, 10)).collect();
    assert_eq!(order, [3, 2, 4, 1]);
}

#[test]
fn tenants_take_turns_however_many_one_of_them_sends() {
    let mut queue = queue(100);
    for waiter in 0..10 {
        queue.arrive(arrival(waiter, Priority::Normal, 1), waiter).ticket.unwrap();
    }
    queue.arrive(arrival(20, Priority::Normal, 2), 100).ticket.unwrap();
    queue.arrive(arrival(21, Priority::Normal, 2), 101).ticket.unwrap();
    let order: Vec<u64> = std::iter::from_fn(|| called(&mut queue, 30)).take(5).collect();
    assert_eq!(order, [0, 100, 1, 101, 2]);
}

#[test]
fn a_light_tenant_does_not_wait_behind_its_own_while_another_floods() {
    let mut queue = queue(1_000);
    let waiters_of = |tenant| move |number| (arrival(0, Priority::Normal, tenant), 100 * tenant + number);
    let mut flood = (0..).map(waiters_of(1));
    for (arrival, waiter) in flood.by_ref().take(50) {
        queue.arrive(arrival, waiter).ticket.unwrap();
    }
    (0..30).for_each(|_| assert_eq!(called(&mut queue, 0).unwrap() / 100, 1));
    for (arrival, waiter) in (0..6).map(waiters_of(2)) {
        queue.arrive(arrival, waiter).ticket.unwrap();
    }
    let tenants: Vec<_> = (0..10).map(|_| called(&mut queue, 0).unwrap() / 100).collect();
    // A few at once, and then it is one of two.
    assert_eq!(tenants[..4], [2, 2, 2, 2], "{tenants:?}");
    assert_eq!(tenants.iter().filter(|tenant| **tenant == 2).count(), 6, "{tenants:?}");
    assert!(tenants[4..8].contains(&1), "{tenants:?}");
}

#[test]
fn however_many_light_tenants_there_are_a_heavy_one_keeps_most_of_its_share() {
    const LIGHT: u64 = 50;
    const CALLS: usize = 10_200;
    let mut queue = queue(1_000);
    for tenant in std::iter::repeat_n(LIGHT, 300).chain(0..LIGHT) {
        queue.arrive(arrival(0, Priority::Normal, tenant), tenant).ticket.unwrap();
    }
    let mut heavy = 0;
    for _ in 0..CALLS {
        // Whoever was called comes back at once, so everybody always waits.
        let tenant = called(&mut queue, 0).unwrap();
        heavy += usize::from(tenant == LIGHT);
        queue.arrive(arrival(0, Priority::Normal, tenant), tenant).ticket.unwrap();
    }
    let share = CALLS / (LIGHT as usize + 1);
    assert!((share * 3 / 4 - 5..=share + 5).contains(&heavy), "{heavy} calls where {share} are fair");
}

#[test]
fn a_full_queue_gives_up_the_newest_of_the_lowest_class_for_a_higher() {
    let mut queue = queue(3);
    for waiter in 0..3 {
        queue.arrive(arrival(waiter, Priority::Sheddable, 0), waiter).ticket.unwrap();
    }
    let (displaced, denial) = queue.arrive(arrival(5, Priority::Critical, 0), 9).displaced.pop().unwrap();
    assert_eq!((displaced, denial.cause, queue.len()), (2, Cause::Displaced, 3));
    // Nobody is lower than the lowest.
    assert_eq!(queue.arrive(arrival(6, Priority::Sheddable, 0), 10).ticket.unwrap_err().cause, Cause::Overloaded);
}

#[test]
fn a_full_class_gives_up_the_newest_of_the_tenant_that_floods() {
    let mut queue = queue(4);
    for waiter in 0..4 {
        queue.arrive(arrival(waiter, Priority::Normal, 1), waiter).ticket.unwrap();
    }
    let displaced = queue.arrive(arrival(5, Priority::Normal, 2), 9).displaced.pop().unwrap();
    assert_eq!(displaced.0, 3);
    // The flooding tenant itself displaces nobody.
    assert!(queue.arrive(arrival(6, Priority::Normal, 1), 10).ticket.is_err());
}

#[test]
fn an_overloaded_class_keeps_a_short_queue_until_nobody_was_turned_away_for_a_second() {
    let mut queue = queue(10_000);
    // At 1,000 per second half a second holds 500. One more, and only what 50 ms hold is worth waiting for.
    let arrived: Vec<_> = (0..501).map(|waiter| queue.arrive(arrival(0, Priority::Normal, 0), waiter)).collect();
    assert_eq!(arrived.iter().filter(|arrived| arrived.ticket.is_ok()).count(), 500);
    assert_eq!((arrived[500].displaced.len(), queue.len()), (450, 50));
    assert!(queue.is_overloaded(0));
    while called(&mut queue, 1).is_some() {}
    // Now 50 ms hold 50.
    let accepted = (0..500).filter(|waiter| queue.arrive(arrival(2, Priority::Normal, 0), *waiter).ticket.is_ok()).count();
    assert_eq!(accepted, 50);
    assert!(!queue.is_overloaded(2 + CALM_AFTER_NS));
}

#[test]
fn more_arrivals_than_answers_are_overload_before_the_bound_is_reached_and_a_burst_is_not() {
    // 1,000 per second are completed, and the bound is half a second.
    let steady = |per_second: u64| {
        let mut queue = queue(10_000);
        (1..150_000).map(|step| step * MS / 100).find(|at_ns| {
            let (arrives, is_called) = (at_ns % (1_000 * MS / per_second / 10 * 10) < MS / 100, at_ns % MS == 0);
            if arrives {
                let _ = queue.arrive(arrival(*at_ns, Priority::Normal, 0), *at_ns);
            }
            if is_called {
                called(&mut queue, *at_ns);
                queue.is_full(*at_ns);
            }
            queue.is_overloaded(*at_ns)
        })
    };
    let at_ns = steady(1_250).unwrap();
    assert!((BURST_NS..1_200 * MS).contains(&at_ns), "{at_ns}");
    let mut queue = queue(10_000);
    for waiter in 0..400 {
        queue.arrive(arrival(0, Priority::Normal, 0), waiter).ticket.unwrap();
    }
    assert!(!queue.is_overloaded(0), "four hundred at once are served in time");
}

#[test]
fn a_flood_of_sheddable_requests_leaves_the_critical_class_calm() {
    let mut queue = queue(10_000);
    for waiter in 0..2_000 {
        let _ = queue.arrive(arrival(0, Priority::Sheddable, 0), waiter);
    }
    for waiter in 0..400 {
        queue.arrive(arrival(1, Priority::Critical, 0), waiter).ticket.unwrap();
    }
}

#[test]
fn whoever_has_no_time_left_is_told_instead_of_called() {
    let mut queue = queue(100);
    let with = |deadline_ns| Arrival { deadline_ns, start_by_ns: deadline_ns - 10 * MS, ..arrival(0, Priority::Normal, 0) };
    queue.arrive(with(10 * MS), 1).ticket.unwrap();
    queue.arrive(with(25 * MS), 2).ticket.unwrap();
    queue.arrive(with(100 * MS), 3).ticket.unwrap();
    let mut causes = Vec::new();
    let admitted = loop {
        match queue.next(20 * MS).unwrap() {
            Next::Admit(waiter) => break waiter,
            Next::Deny(waiter, denial) => causes.push((waiter, denial.cause)),
        }
    };
    assert_eq!((causes, admitted), (vec![(1, Cause::DeadlinePassed), (2, Cause::DeadlineUnreachable)], 3));
}

#[test]
fn one_slow_period_is_not_believed_but_two_are() {
    let mut queue = queue(100);
    queue.learn_drain(200.0, 200.0);
    assert!((queue.drain() - 1_000.0).abs() < 1e-9);
    queue.learn_drain(200.0, 200.0);
    assert!((queue.drain() - 200.0).abs() < 1e-9);
}

/// What may happen to a queue.
#[derive(Clone, Debug)]
enum Step {
    Arrive { priority: usize, tenant: u64 },
    Leave(usize),
    Call,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..5_u64).prop_map(|(priority, tenant)| Step::Arrive { priority, tenant }),
        1 => any::<usize>().prop_map(Step::Leave),
        2 => Just(Step::Call),
        1 => (0..200 * MS).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn nobody_is_lost_or_called_twice_and_the_bound_holds(steps in prop::collection::vec(step(), 1..300)) {
        let mut queue = queue(20);
        let (mut now_ns, mut number) = (0, 0);
        let mut inside: Vec<(u64, Ticket)> = Vec::new();
        for step in steps {
            match step {
                Step::Arrive { priority, tenant } => {
                    number += 1;
                    let arrived = queue.arrive(arrival(now_ns, Priority::ALL[priority], tenant), number);
                    for (displaced, _) in arrived.displaced {
                        let index = inside.iter().position(|waiter| waiter.0 == displaced);
                        prop_assert!(index.is_some(), "displaced {displaced}, who was not inside");
                        inside.remove(index.unwrap());
                    }
                    if let Ok(ticket) = arrived.ticket {
                        inside.push((number, ticket));
                    }
                }
                Step::Leave(which) if !inside.is_empty() => {
                    let (_, ticket) = inside.remove(which % inside.len());
                    prop_assert!(queue.leave(ticket));
                    prop_assert!(!queue.leave(ticket));
                }
                Step::Leave(_) => {}
                Step::Call => match queue.next(now_ns) {
                    Some(Next::Admit(waiter) | Next::Deny(waiter, _)) => {
                        let index = inside.iter().position(|inside| inside.0 == waiter);
                        prop_assert!(index.is_some(), "called {waiter}, who was not inside");
                        inside.remove(index.unwrap());
                    }
                    None => prop_assert!(inside.is_empty()),
                },
                Step::Pass(ns) => now_ns += ns,
            }
            prop_assert_eq!(queue.len(), inside.len());
            prop_assert!(queue.len() <= 20);
        }
    }
}
