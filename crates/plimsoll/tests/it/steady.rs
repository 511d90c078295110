//! Requests at a steady pace by clients that keep their connections and ask nothing twice: whatever is lost, is counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::http::{Client, Request};

pub(crate) struct Steady {
    stop: Arc<AtomicBool>,
    started: Instant,
    clients: Vec<JoinHandle<Tally>>,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    pub(crate) failures: Vec<String>,
    pub(crate) per_second: f64,
    pub(crate) longest: Duration,
}

impl Steady {
    /// So many clients, each of which asks once in an interval.
    pub(crate) fn start(port: u16, clients: u32, interval: Duration) -> Self {
        Self::at(port, "/", clients, interval)
    }

    pub(crate) fn at(port: u16, target: &'static str, clients: u32, interval: Duration) -> Self {
        let (stop, started) = (Arc::<AtomicBool>::default(), Instant::now());
        let client = |number| {
            let (stop, first) = (Arc::clone(&stop), started + interval * number / clients);
            thread::spawn(move || ask(port, target, first, interval, &stop))
        };
        Self { clients: (0..clients).map(client).collect(), stop, started }
    }

    pub(crate) fn stop(mut self) -> Tally {
        self.stop.store(true, Relaxed);
        let mut total = Tally::default();
        for client in self.clients.drain(..) {
            let tally = client.join().unwrap();
            total.answered += tally.answered;
            total.failures.extend(tally.failures);
            total.longest = total.longest.max(tally.longest);
        }
        total.per_second = total.answered as f64 / self.started.elapsed().as_secs_f64();
        total
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
    }
}

fn ask(port: u16, target: &str, mut next: Instant, interval: Duration, stop: &AtomicBool) -> Tally {
    let (mut client, request, mut tally) = (Client::new(port), Request::get(target), Tally::default());
    while !stop.load(Relaxed) {
        while let Some(wait) = next.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
            thread::park_timeout(wait);
        }
        next += interval;
        let asked = Instant::now();
        match client.send(&request) {
            Ok(answer) if answer.status == 200 => tally.answered += 1,
            Ok(answer) => tally.failures.push(format!("{answer:?}")),
            Err(error) => tally.failures.push(format!("{error:#}")),
        }
        tally.longest = tally.longest.max(asked.elapsed());
    }
    tally
}
