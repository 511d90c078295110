//! The dashboard over a fleet that exists only in arithmetic: to look at it while changing it.
//!
//! `cargo run -p plimsoll-admin --example synthetic_fleet -- [ADDRESS] [INSTANCES] [SPEED]`; the second instance is down
//! for eight seconds of every minute, and the load swings beyond what the load line allows. With a speed of 30 the five minutes of the charts pass in ten seconds.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plimsoll_admin::{Config, Limits, Listener, serve};
use plimsoll_telemetry::Histogram;
use plimsoll_telemetry::snapshot::{CircuitSnapshot, EdgeSnapshot, InstanceSnapshot, InstanceState, LoadLineSnapshot, Snapshot};

struct Fleet {
    started: Instant,
    speed: u32,
    second: u64,
    edge_latency: Histogram,
    edge: EdgeSnapshot,
    load_line: LoadLineSnapshot,
    instances: Vec<(InstanceSnapshot, Histogram)>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8081".into()).parse()?;
    let count = arguments.next().map_or(Ok(3), |count| count.parse())?;
    let speed = arguments.next().map_or(Ok(1), |speed| speed.parse())?;
    let config = Config { limits: Limits { sample_interval: Duration::from_secs(1) / speed, ..Limits::default() }, ..Config::default() };
    let listener = Listener::tcp(address, &config).await?;
    let fleet = Mutex::new(Fleet::new(count, speed));
    let source = Arc::new(move || fleet.lock().expect("no sampler panics").look());
    let interrupted = async { tokio::signal::ctrl_c().await.expect("signals can be listened to") };
    serve(vec![listener], source, config, interrupted).await?;
    Ok(())
}

impl Fleet {
    fn new(count: u64, speed: u32) -> Self {
        let started = Instant::now();
        let instance = |number| InstanceSnapshot {
            id: format!("api-{number}"),
            upstream: "api".into(),
            address: format!("http://127.0.0.1:{}", 40_000 + number * 37 % 9_999),
            state: InstanceState::Ready,
            pid: Some(4_000 + number as u32 * 3),
            ..InstanceSnapshot::default()
        };
        let instances = (1..=count).map(|number| (instance(number), Histogram::default())).collect();
        let load_line = LoadLineSnapshot { upstream: "api".into(), limit: 24, ..LoadLineSnapshot::default() };
        Self { started, speed, second: 0, edge_latency: Histogram::default(), edge: EdgeSnapshot::default(), load_line, instances }
    }

    fn look(&mut self) -> Snapshot {
        let uptime = self.started.elapsed() * self.speed;
        while self.second < uptime.as_secs() + 1 {
            self.second += 1;
            self.step(self.second);
        }
        self.edge.latency = self.edge_latency.counts();
        let instances = self.instances.iter().map(|(instance, latency)| InstanceSnapshot { latency: latency.counts(), ..instance.clone() });
        Snapshot {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_ms: uptime.as_millis() as u64,
            public_url: "http://localhost:8080".into(),
            admin_url: "http://localhost:8081".into(),
            edge: self.edge.clone(),
            load_lines: vec![self.load_line.clone()],
            circuits: vec![CircuitSnapshot { upstream: "api".into(), ..CircuitSnapshot::default() }],
            instances: instances.collect(),
            ..Snapshot::default()
        }
    }

    fn step(&mut self, second: u64) {
        let swing = (second as f64 / 23.0).sin() + 0.4 * (second as f64 / 5.1).sin();
        let busy = self.instances.len().max(1) as f64;
        for (number, (instance, latency)) in self.instances.iter_mut().enumerate() {
            let phase = if number == 1 { second % 60 } else { 20 };
            instance.state = match phase {
                0..5 => InstanceState::Backoff,
                5..8 => InstanceState::Starting,
                _ => InstanceState::Ready,
            };
            if phase == 5 {
                instance.restarts_total += 1;
                instance.pid = instance.pid.map(|pid| pid + 100);
            }
            let down = instance.state != InstanceState::Ready;
            instance.uptime_ms = if down { None } else { Some(if number == 1 { (phase - 8) * 1_000 } else { second * 1_000 }) };
            instance.failures_total += u64::from(phase == 0) * 4;
            let requests = if down { 0 } else { (600.0 / busy * (1.0 + 0.35 * swing)) as u64 + number as u64 % 7 };
            instance.in_flight = requests / 40;
            for request in 0..requests {
                let tail = if request % 97 == 0 { 40.0 } else { 1.0 + (request % 13) as f64 / 6.0 };
                let duration = Duration::from_secs_f64((2.4 + swing.max(0.0) * 1.7) * tail / 1_000.0);
                latency.record(duration);
                self.edge_latency.record(duration);
                let class = if request % 211 == 0 { 3 } else { 1 };
                instance.responses_total[class] += 1;
                self.edge.responses_total[class] += 1;
            }
            if phase == 1 {
                self.edge.retries_total += 4;
                self.edge.responses_total[4] += 1;
                self.edge.refusals_total = vec![("no-instance".into(), self.edge.responses_total[4] - self.edge.shed_total)];
            }
        }
        self.load(second);
        self.edge.connections = 24 + second % 5;
        self.edge.in_flight = self.instances.iter().map(|(instance, _)| instance.in_flight).sum();
    }

    /// More than the load line allows in some of each three minutes.
    fn load(&mut self, second: u64) {
        let line = &mut self.load_line;
        line.limit = 22 + second / 20 % 4;
        let wanted = 14 + ((second as f64 / 30.0).sin() * 12.0) as i64;
        line.in_flight = wanted.clamp(0, line.limit as i64) as u64;
        line.overloaded = wanted >= line.limit as i64;
        if line.overloaded {
            line.shed_total[1][0] += 12;
            line.shed_total[2][0] += 48;
            self.edge.shed_total += 60;
            self.edge.responses_total[4] += 60;
            self.edge.fallbacks_total += 3;
        }
        line.waiting[1] = (wanted - line.limit as i64).max(0) as u64;
        line.drain_per_second = 600.0;
        line.admitted_total += 600;
        self.edge.hedges_total += second % 3;
        self.edge.hedges_won_total += u64::from(second.is_multiple_of(9));
    }
}
