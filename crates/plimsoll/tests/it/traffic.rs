//! Steady traffic of safe requests: two hundred a second, on a schedule that does not wait for slow answers elsewhere.

mod http2;
mod seen;

use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use seen::Seen;

use crate::http::{Client, Request};

/// Each has a connection and a schedule of its own; one of them speaks HTTP/2.
const SENDERS: u32 = 10;
const SENDER_INTERVAL: Duration = Duration::from_millis(50);
/// Clients come and go.
const REQUESTS_PER_CONNECTION: usize = 50;

/// What is asked for in turn, by whom.
#[derive(Clone)]
pub(crate) struct Mix {
    pub(crate) requests: Vec<Request>,
    /// The cookie of a logged-in user, if the API knows users.
    pub(crate) session: Option<String>,
}

/// Ends with the test, however that ends.
pub(crate) struct Traffic {
    seen: Arc<Mutex<Seen>>,
    senders: Vec<JoinHandle<()>>,
    started: Instant,
}

/// How it went.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) answered: u64,
    /// What was not answered as it should have been, the first ones in words.
    pub(crate) failed: u64,
    pub(crate) failures: Vec<String>,
    pub(crate) per_second: f64,
}

impl Traffic {
    pub(crate) fn start(port: u16, mix: &Mix) -> Self {
        let (seen, started) = (Arc::<Mutex<Seen>>::default(), Instant::now());
        let sender = |index: u32| {
            let schedule = Schedule { next: started + SENDER_INTERVAL / SENDERS * index, seen: Arc::clone(&seen) };
            let mix = mix.clone();
            thread::spawn(move || if index == 0 { http2::send(port, &mix, schedule) } else { send(port, &mix, schedule) })
        };
        let senders = (0..SENDERS).map(sender).collect();
        Self { seen, senders, started }
    }

    /// When this process of this instance was first seen to answer.
    pub(crate) fn first_answer(&self, instance: &str, pid: u32) -> Option<Instant> {
        self.seen.lock().unwrap().first_answer(instance, pid)
    }

    /// From now on, [`Self::knows_user`] names who answered `/me` from now on.
    pub(crate) fn ask_anew_who_knows_the_user(&self) {
        self.seen.lock().unwrap().forget_who_knows_the_user();
    }

    /// The instances that have answered `/me` for the logged-in user.
    pub(crate) fn knows_user(&self) -> Vec<String> {
        self.seen.lock().unwrap().knows_user()
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn stop(mut self) -> Tally {
        let elapsed = self.started.elapsed();
        self.end();
        self.seen.lock().unwrap().tally(elapsed)
    }

    /// Whether every sender ended as it should.
    fn end(&mut self) -> bool {
        self.seen.lock().unwrap().stop();
        self.senders.drain(..).map(JoinHandle::join).all(|ended| ended.is_ok())
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        assert!(self.end() || thread::panicking(), "a sender ended early");
    }
}

/// When a sender sends next, and where it writes down what came of it.
struct Schedule {
    next: Instant,
    seen: Arc<Mutex<Seen>>,
}

impl Schedule {
    /// The next moment to send at; none once it is over. A late sender catches up.
    fn advance(&mut self) -> Option<Instant> {
        let at = self.next;
        self.next += SENDER_INTERVAL;
        (!self.seen.lock().unwrap().is_stopped()).then_some(at)
    }

    fn note(&self, request: &Request, outcome: &anyhow::Result<crate::http::Answer>) {
        self.seen.lock().unwrap().note(request, outcome);
    }
}

fn send(port: u16, mix: &Mix, mut schedule: Schedule) {
    let mut client = Client::new(port);
    let mut turns = mix.requests.iter().cycle().enumerate();
    while let (Some(at), Some((turn, request))) = (schedule.advance(), turns.next()) {
        while let Some(wait) = at.checked_duration_since(Instant::now()).filter(|wait| !wait.is_zero()) {
            thread::park_timeout(wait);
        }
        if turn % REQUESTS_PER_CONNECTION == 0 {
            client.hang_up();
        }
        client.session.clone_from(&mix.session);
        let outcome = client.send(request);
        schedule.note(request, &outcome);
    }
}
