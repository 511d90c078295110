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
    /// Until when it is warming up, and how many times slower it is at first.
    warm_up: Option<(u64, f64)>,
    /// The routes are instances, and a request goes to the less busy of two.
    balanced: bool,
    /// At which times the first station has how many servers.
    capacity: Vec<(u64, usize)>,
}

impl App {
    pub(super) fn new(stations: &[usize], routes: Vec<Route>) -> Self {
        let stations = stations.iter().map(|&servers| Station { servers, busy: 0, queue: VecDeque::new() }).collect();
        Self {
            stations,
            routes,
            jobs: Vec::new(),
            started: Vec::new(),
            inside: 0,
            degrades: None,
            stall: None,
            warm_up: None,
            balanced: false,
            capacity: Vec::new(),
        }
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

    /// A request makes forty queries in turn on a pool of five connections, with a little Python before each: 62.5/s.
    pub(super) fn feed() -> Self {
        let round = [(0, Service::Exponential(0.000_3)), (1, Service::Exponential(0.002))];
        Self::new(&[1, 5], vec![round.into_iter().cycle().take(80).collect()])
    }

    /// Four instances of two servers, 20 ms each; the last is twenty times slower: 305/s.
    pub(super) fn one_degraded_of_four() -> Self {
        let routes = (0..4).map(|instance| vec![(instance, Service::Exponential(if instance == 3 { 0.4 } else { 0.02 }))]);
        Self { balanced: true, ..Self::new(&[2; 4], routes.collect()) }
    }

    pub(super) fn warming_up(mut self, until_ns: u64, times_slower: f64) -> Self {
        self.warm_up = Some((until_ns, times_slower));
        self
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
        if self.balanced {
            let load = |instance: &usize| self.stations[*instance].busy + self.stations[*instance].queue.len();
            let two = [rng.usize(..self.stations.len()), rng.usize(..self.stations.len())];
            self.jobs[request].route = two.into_iter().min_by_key(load).expect("two are not none");
        }
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
        let cold = self.warm_up.filter(|(until_ns, _)| now_ns < *until_ns).map_or(1.0, |(until_ns, times)| {
            let done = now_ns as f64 / until_ns as f64;
            times + (1.0 - times) * done
        });
        let lasts_ns = (service.draw(rng) * slowness * cold * SECOND as f64) as u64;
        self.started.push((now_ns + lasts_ns.max(1), request));
    }
}
