//! Admission as callers see it: futures, permits, threads.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use tokio::task::JoinSet;
use tokio::time::{advance, sleep};

use super::*;

fn fixed(limit: usize) -> Config {
    Config { limit_initial: limit, limit_min: limit, limit_max: limit, ..Config::default() }
}

async fn enter(admission: &Arc<Admission>) -> Permit {
    let mut permit = admission.enter(&Ask::default()).await.unwrap();
    permit.begins();
    permit
}

async fn is_waiting<F: Future>(mut future: Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[tokio::test(start_paused = true)]
async fn a_place_goes_to_the_one_who_waits() {
    let admission = Admission::new(fixed(1));
    let first = enter(&admission).await;
    assert!(admission.try_enter(&Ask::default()).is_none());
    let waiter = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { enter(&admission).await }
    });
    sleep(Duration::from_millis(100)).await;
    assert_eq!((admission.load().waiting, admission.load().in_flight), ([0, 1, 0], 1));
    first.finish(Outcome::Served);
    let second = waiter.await.unwrap();
    assert_eq!(second.waited(), Duration::from_millis(100));
    second.finish(Outcome::Served);
    let line = admission.load();
    assert_eq!((line.in_flight, line.admitted, line.waited, line.refused_total()), (0, 2, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_longer_than_the_bound_even_if_nothing_ends() {
    let admission = Admission::new(fixed(1));
    let _hung = enter(&admission).await;
    let started = Instant::now();
    let refusal = admission.enter(&Ask::default()).await.unwrap_err();
    assert_eq!(refusal.reason, Reason::Overloaded);
    assert!((750..760).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
    assert!((1..=30).contains(&refusal.retry_after_seconds().unwrap()));
    // Those who come now wait at most in twos; the third hears it at once.
    let mut waiters: JoinSet<_> = (0..2)
        .map(|_| {
            let admission = Arc::clone(&admission);
            async move { admission.enter(&Ask::default()).await.map(drop) }
        })
        .collect();
    tokio::task::yield_now().await;
    let started = Instant::now();
    assert!(admission.enter(&Ask::default()).await.is_err());
    assert_eq!(started.elapsed(), Duration::ZERO);
    waiters.abort_all();
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_while_waiting_leaves_the_queue_at_once() {
    let admission = Admission::new(fixed(1));
    let first = enter(&admission).await;
    let ask = Ask::default();
    {
        let waiting = admission.enter(&ask);
        tokio::pin!(waiting);
        assert!(is_waiting(waiting.as_mut()).await);
        assert_eq!(admission.load().waiting, [0, 1, 0]);
    }
    assert_eq!(admission.load().waiting, [0, 0, 0]);
    first.finish(Outcome::Served);
    assert_eq!(admission.load().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_place_given_to_a_client_that_has_just_left_goes_back() {
    let admission = Admission::new(fixed(1));
    let first = enter(&admission).await;
    let ask = Ask::default();
    {
        let waiting = admission.enter(&ask);
        tokio::pin!(waiting);
        assert!(is_waiting(waiting.as_mut()).await);
        first.finish(Outcome::Served);
        assert_eq!(admission.load().in_flight, 1);
    }
    assert_eq!(admission.load().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn work_whose_client_left_keeps_its_place_for_the_time_it_is_likely_to_take() {
    let admission = Admission::new(fixed(1));
    for _ in 0..100 {
        let permit = enter(&admission).await;
        advance(Duration::from_millis(100)).await;
        permit.finish(Outcome::Served);
    }
    let abandoned = enter(&admission).await;
    advance(Duration::from_millis(20)).await;
    drop(abandoned);
    assert_eq!((admission.load().in_flight, admission.load().lingering), (1, 1));
    // 150 ms after it began, though nobody but the waiter itself is there to notice.
    let permit = enter(&admission).await;
    assert!((125..160).contains(&permit.waited().as_millis()), "{:?}", permit.waited());
    permit.finish(Outcome::Served);
    assert_eq!((admission.load().in_flight, admission.load().lingering), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stream_gives_its_place_back_and_goes_on() {
    let admission = Admission::new(fixed(1));
    let mut stream = enter(&admission).await;
    stream.streams();
    assert_eq!(admission.load().in_flight, 0);
    let other = enter(&admission).await;
    drop(stream);
    assert_eq!((admission.load().in_flight, admission.load().lingering), (1, 0));
    other.finish(Outcome::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_cannot_be_met_is_refused_before_it_takes_a_place() {
    let admission = Admission::new(fixed(10));
    for _ in 0..200 {
        let permit = enter(&admission).await;
        advance(Duration::from_millis(100)).await;
        permit.finish(Outcome::Served);
    }
    let with = |left_ms| Ask { deadline: Some(Instant::now() + Duration::from_millis(left_ms)), ..Ask::default() };
    assert_eq!(admission.enter(&with(0)).await.unwrap_err().reason, Reason::DeadlinePassed);
    assert_eq!(admission.enter(&with(20)).await.unwrap_err().reason, Reason::DeadlineUnreachable);
    admission.enter(&with(200)).await.unwrap().finish(Outcome::Served);
    let sheddable = Ask { priority: Priority::Sheddable, ..with(0) };
    admission.enter(&sheddable).await.unwrap_err();
    assert_eq!(admission.load().refused.map(|refused| refused.deadline), [0, 2, 1], "counted for the class that asked");
}

#[tokio::test(start_paused = true)]
async fn more_instances_mean_more_places_for_those_who_wait() {
    let admission = Admission::new(Config { limit_initial: 1, ..Config::default() });
    let _first = enter(&admission).await;
    let ask = Ask::default();
    let waiting = admission.enter(&ask);
    tokio::pin!(waiting);
    assert!(is_waiting(waiting.as_mut()).await);
    admission.set_instances(3);
    let _second = waiting.await.unwrap();
    assert_eq!(admission.load().limit, 3);
}

/// Real threads, real time: whatever happens, the limit is kept, every place comes back, and nobody waits for ever.
#[test]
fn places_are_conserved_by_threads_that_enter_finish_and_leave() {
    let admission = Admission::new(Config { queue_wait_max: Duration::from_secs(20), ..fixed(3) });
    let inside = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (admission, inside) = (&admission, &inside);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                let mut rng = fastrand::Rng::with_seed(thread);
                runtime.block_on(async {
                    for _ in 0..40 {
                        let batch = (0..50).map(|_| visit(admission, inside, rng.u64(..)));
                        futures_util::future::join_all(batch).await;
                    }
                });
            });
        }
    });
    let line = admission.load();
    assert_eq!((line.in_flight, line.waiting), (0, [0, 0, 0]));
    assert!(line.waited > 0, "{line:?}");
}

async fn visit(admission: &Arc<Admission>, inside: &AtomicUsize, seed: u64) {
    let ask = Ask { tenant: seed % 3, priority: Priority::ALL[(seed / 3 % 3) as usize], ..Ask::default() };
    let entering = admission.enter(&ask);
    let permit = if seed.is_multiple_of(7) {
        // A client that leaves after a moment.
        tokio::time::timeout(Duration::from_micros(seed % 300), entering).await.ok()
    } else {
        Some(entering.await)
    };
    // Some are refused: they have been displaced or came too late.
    let Some(Ok(permit)) = permit else { return };
    assert!(inside.fetch_add(1, Ordering::SeqCst) < 3, "more inside than the limit");
    if seed.is_multiple_of(2) {
        tokio::task::yield_now().await;
    }
    inside.fetch_sub(1, Ordering::SeqCst);
    permit.finish(if seed.is_multiple_of(5) { Outcome::Failed } else { Outcome::Served });
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_the_place_of_a_client_that_leaves_meanwhile() {
    let admission = Admission::new(fixed(1));
    for _ in 0..100 {
        let permit = enter(&admission).await;
        advance(Duration::from_millis(100)).await;
        permit.finish(Outcome::Served);
    }
    let first = enter(&admission).await;
    let waiting = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { admission.enter(&Ask::default()).await.map(|permit| permit.waited()) }
    });
    tokio::task::yield_now().await;
    assert_eq!(admission.load().waiting, [0, 1, 0]);
    // Nobody else comes or goes who could notice that its work is over.
    drop(first);
    let waited = waiting.await.unwrap().unwrap();
    assert!((100..300).contains(&waited.as_millis()), "{waited:?}");
}

/// Asks so many times with so much time left, as clients do that all send deadlines; how many got in and were answered within 5 ms.
async fn asked_with(admission: &Arc<Admission>, times: usize, left: Duration) -> usize {
    let mut answered = 0;
    for _ in 0..times {
        let ask = Ask { deadline: Some(Instant::now() + left), ..Ask::default() };
        if let Ok(mut permit) = admission.enter(&ask).await {
            permit.begins();
            advance(Duration::from_millis(5)).await;
            permit.finish(Outcome::Served);
            answered += 1;
        }
        advance(Duration::from_millis(10)).await;
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn slow_answers_of_the_past_do_not_lock_out_those_who_send_deadlines() {
    let admission = Admission::new(fixed(20));
    let slow = async |count| {
        for _ in 0..count {
            let permit = enter(&admission).await;
            advance(Duration::from_millis(1_500)).await;
            permit.finish(Outcome::Served);
        }
    };
    // A cold start proves nothing.
    slow(1).await;
    assert_eq!(asked_with(&admission, 20, Duration::from_secs(1)).await, 20);
    // A slow hour is believed, but not for ever: refusals alone would never prove it wrong.
    slow(200).await;
    let answered = asked_with(&admission, 400, Duration::from_millis(200)).await;
    assert!((300..400).contains(&answered), "{answered} of 400");
}

/// Asks so many at once for work of 20 ms; how many were refused.
async fn refused_of_burst(admission: &Arc<Admission>, count: usize) -> usize {
    let mut burst: JoinSet<_> = (0..count)
        .map(|_| {
            let admission = Arc::clone(admission);
            async move {
                let mut permit = admission.enter(&Ask::default()).await.ok()?;
                permit.begins();
                sleep(Duration::from_millis(20)).await;
                permit.finish(Outcome::Served);
                Some(())
            }
        })
        .collect();
    let mut refused = 0;
    while let Some(answer) = burst.join_next().await {
        refused += usize::from(answer.unwrap().is_none());
    }
    refused
}

#[tokio::test(start_paused = true)]
async fn a_burst_after_a_quiet_time_is_not_taken_for_overload() {
    let admission = Admission::new(fixed(10));
    // A slow answer, and requests that hang until their clients leave: that is all that is known when the load comes.
    let slow = enter(&admission).await;
    sleep(Duration::from_secs(2)).await;
    slow.finish(Outcome::Served);
    for _ in 0..3 {
        let hung = enter(&admission).await;
        sleep(Duration::from_millis(500)).await;
        drop(hung);
    }
    sleep(Duration::from_secs(3)).await;
    // 200 ms of work, and then as much again before it is done: nobody waits for half of the bound.
    let first = tokio::spawn({
        let admission = Arc::clone(&admission);
        async move { refused_of_burst(&admission, 100).await }
    });
    sleep(Duration::from_millis(150)).await;
    let second = refused_of_burst(&admission, 100).await;
    assert_eq!((first.await.unwrap(), second), (0, 0), "{:?}", admission.load());
}

#[tokio::test(start_paused = true)]
async fn a_slow_route_does_not_take_a_quick_one_of_the_same_pool_its_deadlines() {
    let admission = Admission::new(fixed(20));
    let ask = |path: &str, left_ms| Ask {
        kind: kind(path.as_bytes()),
        deadline: Some(Instant::now() + Duration::from_millis(left_ms)),
        ..Ask::default()
    };
    let mut refused = 0;
    // One request in twenty is quick, and its callers allow it a tenth of what the others take.
    for number in 0..2_000 {
        let (path, takes_ms, left_ms) = if number % 20 == 0 { ("/cart", 5, 50) } else { ("/report", 500, 10_000) };
        match admission.enter(&ask(path, left_ms)).await {
            Ok(mut permit) => {
                permit.begins();
                advance(Duration::from_millis(takes_ms)).await;
                permit.finish(Outcome::Served);
            }
            Err(_) => refused += 1,
        }
    }
    assert_eq!(refused, 0);
    assert_eq!(admission.enter(&ask("/report", 50)).await.unwrap_err().reason, Reason::DeadlineUnreachable);
}

#[tokio::test(start_paused = true)]
async fn the_loser_of_a_race_keeps_its_place_while_the_instance_works_on() {
    let admission = Admission::new(fixed(2));
    let mut loser = enter(&admission).await;
    advance(Duration::from_millis(20)).await;
    loser.begins();
    advance(Duration::from_millis(20)).await;
    loser.lost();
    assert_eq!((admission.load().in_flight, admission.load().lingering), (1, 1));
    // One that no instance had begun with has nothing to linger for.
    admission.try_enter(&Ask::default()).unwrap().lost();
    assert_eq!((admission.load().in_flight, admission.load().lingering), (1, 1));
}
