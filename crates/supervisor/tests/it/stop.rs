//! Stopping well: politely, in parallel, and to the end.

use std::time::Duration;

use plimsoll_supervisor::{Event, State};
use rustix::process::Signal;
use tokio::time::{Instant, timeout};

use crate::world::{World, group_members, guard_of, is_alive, kill, shell};

#[tokio::test]
async fn a_server_may_finish_what_it_has() {
    let mut world = World::start(shell(1, "trap 'sleep 0.3; echo finished; exit 0' TERM; echo up; while :; do sleep 0.05; done")).await;
    world.line("up").await;
    let rest = world.stop_and_collect().await;
    assert!(rest.iter().any(|event| matches!(event, Event::Line { text, .. } if text == "finished")), "{rest:?}");
    let exit = rest.iter().find_map(|event| match event {
        Event::Exited { status, restart_in, .. } => Some((status.as_str(), *restart_in)),
        _ => None,
    });
    assert_eq!(exit, Some(("exit code 0", None)));
    assert!(matches!(rest.last(), Some(Event::Stopped { .. })), "{rest:?}");
    assert!(world.now().iter().all(|instance| instance.state == State::Stopped && instance.pid.is_none()));
    assert_eq!(guard_of(std::process::id()), None, "the guard goes too");
}

#[tokio::test]
async fn those_who_ignore_sigterm_are_killed_after_the_deadline_all_at_once() {
    let mut spec = shell(3, "trap '' TERM; echo up $$; while :; do sleep 1; done");
    spec.stop_timeout = Duration::from_millis(700);
    let mut world = World::start(spec).await;
    let groups = [world.number("up ").await, world.number("up ").await, world.number("up ").await];
    let begin = Instant::now();
    world.stop().await;
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(700), "killed too early: {took:?}");
    assert!(took < Duration::from_secs(2), "one after the other: {took:?}");
    for group in groups {
        assert!(group_members(group).is_empty(), "{:?}", group_members(group));
    }
}

#[tokio::test]
async fn a_server_below_a_shell_gets_its_time_although_the_shell_is_gone() {
    // The outer shell dies of SIGTERM at once; the inner one is the server.
    let server = "trap 'sleep 0.3; echo finished; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let mut world = World::start(shell(1, &format!("(\n{server}\n) & wait"))).await;
    world.line("up").await;
    let rest = world.stop_and_collect().await;
    assert!(rest.iter().any(|event| matches!(event, Event::Line { text, .. } if text == "finished")), "{rest:?}");
}

#[tokio::test]
async fn grandchildren_that_ignore_sigterm_do_not_outlive_the_stop() {
    let mut spec = shell(1, "(trap '' TERM; exec sleep 1000) & echo child $!; echo leader $$; wait");
    spec.stop_timeout = Duration::from_millis(300);
    let mut world = World::start(spec).await;
    let child = world.number("child ").await;
    let leader = world.number("leader ").await;
    world.stop().await;
    assert!(!is_alive(child) && !is_alive(leader));
}

#[tokio::test]
async fn stop_goes_on_when_its_caller_leaves_and_may_be_called_by_many() {
    let mut spec = shell(1, "trap '' TERM; echo up; while :; do sleep 1; done");
    spec.stop_timeout = Duration::from_millis(300);
    let mut world = World::start(spec).await;
    world.line("up").await;
    let pid = world.now()[0].pid.unwrap();
    assert!(timeout(Duration::from_millis(20), world.supervisor.stop()).await.is_err());
    world.instances("the stop goes on", |instances| instances[0].state == State::Stopped).await;
    assert!(!is_alive(pid));
    tokio::join!(world.stop(), world.stop());
    world.stop().await;
}

#[tokio::test]
async fn the_dead_stay_dead_after_stop() {
    let mut world = World::start(shell(1, "exit 1")).await;
    world.event("it died", |event| matches!(event, Event::Exited { .. }).then_some(())).await;
    world.stop().await;
    let generation = world.now()[0].generation;
    world.stop().await;
    assert_eq!(world.now()[0].generation, generation);
    assert_eq!(world.now()[0].state, State::Stopped);
}

#[tokio::test]
async fn dropping_the_handle_kills_at_once() {
    let mut world = World::start(shell(2, "trap '' TERM; sleep 1000 & echo up $$; while :; do sleep 1; done")).await;
    let groups = [world.number("up ").await, world.number("up ").await];
    drop(world);
    for group in groups {
        assert!(group_members(group).is_empty(), "{:?}", group_members(group));
    }
    assert_eq!(guard_of(std::process::id()), None);
}

#[tokio::test]
async fn a_stopping_fleet_does_not_restart_what_dies_meanwhile() {
    let mut world = World::start(shell(2, "trap '' TERM; echo up $$; while :; do sleep 0.05; done")).await;
    let leaders = [world.number("up ").await, world.number("up ").await];
    let stop = world.supervisor.stop();
    let killing = async {
        world.instances("draining", |instances| instances.iter().all(|instance| instance.state == State::Draining)).await;
        for leader in leaders {
            kill(leader, Signal::KILL);
        }
    };
    tokio::join!(stop, killing);
    assert!(world.now().iter().all(|instance| instance.generation == 1 && instance.state == State::Stopped));
}
