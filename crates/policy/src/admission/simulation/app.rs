//! Applications: requests visit stations, and each station works on so many at once, first come first served.

use std::collections::VecDeque;

use fastrand::Rng;

use super::SECOND;

/// How long one visit takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    Fixed(f64),
    Exponential(f64),
    /// Mean and sigma of the logarithm.
    Lognormal(f64, f64),
}

impl Service {
    fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Self::Fixed(seconds) => seconds,
            Self::Exponential(mean) => -mean * (1.0 - rng.f64()).ln(),
            Self::Lognormal(mean, sigma) => {
                let normal = (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (std::f64::consts::TAU * rng.f64()).cos();
                mean * (sigma * normal - sigma * sigma / 2.0).exp()
            }
        }
    }
}

/// Where requests are worked on.
#[derive(Clone, Debug)]
struct Station {
    servers: usize,
    busy: usize,
    queue: VecDeque<usize>,
}

/// The visits of one kind of request: station and service, in order.
pub(super) type Route = Vec<(usize, Service)>;

#[derive(Clone, Debug)]
struct Job {
    route: usize,
    next: usize,
    started_ns: u64,
    postponed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct App {
    stations: Vec<Station>,
    routes: Vec<Route>,
    jobs: Vec<Job>,
    started: Vec<(u64, usize)>,
    inside: usize,
    /// Each request beyond so many makes all slower by this share.
    degrades: Option<(usize, f64)>,
    /// From when to when nothing moves.
    stall: Option<(u64, u64)>,
    /// At which times the first station has how many servers.
    capacity: Vec<(u64, usize)>,
}

impl App {
    pub(super) fn new(stations: &[usize], routes: Vec<Route>) -> Self {
        let stations = stations.iter().map(|&servers| Station { servers, busy: 0, queue: VecDeque::new() }).collect();
        Self { stations, routes, jobs: Vec::new(), started: Vec::new(), inside: 0, degrades: None, stall: None, capacity: Vec::new() }
    }

    /// So many servers, one visit.
    pub(super) fn servers(count: usize, service: Service) -> Self {
        Self::new(&[count], vec![vec![(0, service)]])
    }

    /// Like the `FastAPI` app of the overload benchmark: one core of Python and a pool of five connections, visited in turns. 250/s.
    pub(super) fn fastapi() -> Self {
        let round = [(0, Service::Exponential(0.000_3)), (1, Service::Exponential(0.002_5))];
        Self::new(&[1, 5], vec![round.into_iter().cycle().take(16).collect()])
    }

    /// A quick route and a slow one, on eight servers: 367/s with one slow request in ten.
    pub(super) fn mixed() -> Self {
        Self::new(&[8], vec![vec![(0, Service::Exponential(0.002))], vec![(0, Service::Exponential(0.2))]])
    }

    pub(super) fn degrading(mut self, beyond: usize, share: f64) -> Self {
        self.degrades = Some((beyond, share));
        self
    }

    pub(super) fn stalling(mut self, from_ns: u64, until_ns: u64) -> Self {
        self.stall = Some((from_ns, until_ns));
        self
    }

    pub(super) fn with_capacity(mut self, changes: &[(u64, usize)]) -> Self {
        self.capacity = changes.to_vec();
        self
    }

    pub(super) fn announce(&mut self, request: usize, route: usize) {
        debug_assert_eq!(request, self.jobs.len());
        self.jobs.push(Job { route, next: 0, started_ns: 0, postponed: false });
    }

    pub(super) fn begin(&mut self, request: usize, now_ns: u64, rng: &mut Rng) {
        self.inside += 1;
        self.go_on(request, now_ns, rng);
    }

    /// A visit has ended. True if it was the last.
    pub(super) fn end_visit(&mut self, request: usize, now_ns: u64, rng: &mut Rng) -> bool {
        let job = &mut self.jobs[request];
        let station = self.routes[job.route][job.next].0;
        job.next += 1;
        let is_done = job.next == self.routes[job.route].len();
        self.stations[station].busy -= 1;
        while let Some(&(when_ns, servers)) = self.capacity.first().filter(|change| change.0 <= now_ns) {
            let _ = when_ns;
            self.stations[0].servers = servers;
            self.capacity.remove(0);
        }
        while self.stations[station].busy < self.stations[station].servers {
            let Some(next) = self.stations[station].queue.pop_front() else { break };
            self.start(next, now_ns, rng);
        }
        if is_done {
            self.inside -= 1;
        } else {
            self.go_on(request, now_ns, rng);
        }
        is_done
    }

    /// Visits that began since the last call: when they end.
    pub(super) fn take_started(&mut self) -> Option<(u64, usize)> {
        self.started.pop()
    }

    /// A visit during which nothing moved ends so much later.
    pub(super) fn postponed(&mut self, request: usize, now_ns: u64) -> Option<u64> {
        let (from_ns, until_ns) = self.stall?;
        let job = &mut self.jobs[request];
        if job.postponed || job.started_ns >= until_ns || now_ns < from_ns {
            return None;
        }
        job.postponed = true;
        Some(now_ns + until_ns - job.started_ns.max(from_ns))
    }

    fn go_on(&mut self, request: usize, now_ns: u64, rng: &mut Rng) {
        let job = &self.jobs[request];
        let station = &mut self.stations[self.routes[job.route][job.next].0];
        if station.busy < station.servers {
            self.start(request, now_ns, rng);
        } else {
            station.queue.push_back(request);
        }
    }

    fn start(&mut self, request: usize, now_ns: u64, rng: &mut Rng) {
        let job = &mut self.jobs[request];
        let (station, service) = self.routes[job.route][job.next];
        self.stations[station].busy += 1;
        job.started_ns = now_ns;
        job.postponed = false;
        let slowness = self.degrades.map_or(1.0, |(beyond, share)| 1.0 + share * self.inside.saturating_sub(beyond) as f64);
        let lasts_ns = (service.draw(rng) * slowness * SECOND as f64) as u64;
        self.started.push((now_ns + lasts_ns.max(1), request));
    }
}
