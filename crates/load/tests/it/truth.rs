//! What is measured is what happened, to within what the generator says of its own lateness.

use std::io::{Read, Write};
use std::process::Command;
use std::time::Duration;

use plimsoll_load::plan::{Arrivals, Pace, Plan};
use plimsoll_load::{Histogram, Progress, Recording, run};
use plimsoll_testbed::port;
use plimsoll_testbed::process::Process;
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fixture::{carry_out, plan};

/// Answers each request after exactly this long, as exactly as a thread of its own can sleep. Ends when nobody connects any more.
fn delayed(delay: Duration) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                let mut head = [0; 2048];
                while stream.read(&mut head).is_ok_and(|count| count > 0) {
                    #[expect(clippy::disallowed_methods, reason = "the delay is what is measured, and no runtime's timer is as exact")]
                    std::thread::sleep(delay);
                    if stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A machine that is busy with other things only ever adds to a delay: of several short runs the quietest tells what the generator adds.
const RUNS: u32 = 7;

#[tokio::test]
async fn a_fixed_delay_is_measured_to_2_percent_or_a_millisecond() {
    for ms in [5, 100] {
        let delay = Duration::from_millis(ms);
        let url = delayed(delay);
        let mut runs = Vec::new();
        for seed in 1..=RUNS {
            let pace = Pace::constant(150.0, Duration::from_secs(1));
            let recording = carry_out(Plan { arrivals: Arrivals::Poisson, seed: seed.into(), ..plan(&url, pace) }).await;
            assert!(recording.total.good > 80 && recording.total.errors.sum() == 0, "{:?}", recording.examples);
            runs.push(recording);
        }
        for quantile in [0.5, 0.9, 0.99] {
            let measured = |run: &Recording| run.total.good_latency.quantile(quantile).unwrap();
            // The generator itself may be late as well, and says so.
            let late = |run: &Recording| run.generator.lateness.quantile(quantile).unwrap();
            let allowed = |run: &Recording| Duration::from_millis(1).max(delay / 50) + 2 * late(run);
            let is_true = runs.iter().any(|run| measured(run).abs_diff(delay) <= allowed(run));
            let seen: Vec<_> = runs.iter().map(|run| (measured(run), late(run))).collect();
            assert!(is_true, "p{} of {delay:?} is measured (and late) as {seen:?}", quantile * 100.0);
        }
    }
}

/// nginx in a single process, so that stopping it stops everything.
fn nginx() -> (Process, String, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let port = port::free();
    let config = format!(
        "daemon off; master_process off; pid {0}/pid; error_log {0}/error.log;\n\
         events {{ worker_connections 10000; }}\n\
         http {{ access_log off; keepalive_requests 1000000; client_body_temp_path {0}/a; proxy_temp_path {0}/b; fastcgi_temp_path {0}/c;\n\
         uwsgi_temp_path {0}/d; scgi_temp_path {0}/e; server {{ listen 127.0.0.1:{port} backlog=4096; return 200 ok; }} }}\n",
        folder.path().display(),
    );
    let path = folder.path().join("nginx.conf");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&path).arg("-p").arg(folder.path());
    let mut process = Process::start("nginx", &command, folder.path()).unwrap();
    let connect = || std::net::TcpStream::connect(("127.0.0.1", port)).ok();
    process.wait_until(Duration::from_secs(10), "a connection", connect).unwrap();
    (process, format!("http://127.0.0.1:{port}/"), folder)
}

const STOPPED: Duration = Duration::from_millis(1_400);

/// A run in the middle of which the server is stopped.
async fn with_a_stop(pace: Pace) -> Recording {
    let (server, url, _folder) = nginx();
    let (progress, mut seen) = watch::channel(Progress::default());
    let running = tokio::spawn(run(plan(&url, pace.clone()), progress, CancellationToken::new()));
    seen.wait_for(|progress| progress.elapsed > pace.lasts() / 4).await.unwrap();
    server.signal(Signal::STOP);
    sleep(STOPPED).await;
    server.signal(Signal::CONT);
    running.await.unwrap().unwrap()
}

fn p99(histogram: &Histogram) -> Duration {
    histogram.quantile(0.99).unwrap()
}

#[tokio::test]
async fn a_stopped_server_shows_in_open_pace() {
    let lasts = Duration::from_secs(14);
    let recording = with_a_stop(Pace::constant(2_000.0, lasts)).await;
    let total = &recording.total;
    assert_eq!((total.due, total.good), (28_000, 28_000), "{:?}", recording.examples);
    // Whoever was due during the stop waited for the rest of it: 1 % of all requests, that is those due in its first 140 ms, waited
    // for 1.26 s or more.
    let expected = STOPPED.saturating_sub(lasts / 100);
    let measured = p99(&total.good_latency);
    assert!(measured.abs_diff(expected) < expected / 10, "p99 {measured:?} instead of {expected:?}");
    let longest = total.good_latency.max().unwrap();
    assert!(longest >= STOPPED && longest < STOPPED * 3 / 2, "{longest:?}");
}

#[tokio::test]
async fn a_stopped_server_hides_in_closed_pace() {
    let recording = with_a_stop(Pace::Closed { connections: 8, lasts: Duration::from_secs(7) }).await;
    // Only the eight requests under way met the stop, of tens of thousands.
    let measured = p99(&recording.total.good_latency);
    assert!(measured < STOPPED / 20, "{measured:?}");
    assert!(recording.total.good_latency.max().unwrap() > STOPPED * 9 / 10);
}

#[tokio::test]
async fn the_generator_says_what_it_cost_and_that_it_kept_up() {
    let recording = carry_out(plan(&delayed(Duration::from_millis(1)), Pace::constant(500.0, Duration::from_secs(2)))).await;
    let generator = &recording.generator;
    assert_eq!(generator.lateness.count(), recording.total.due);
    assert!(generator.cpu > Duration::from_millis(2) && generator.cpu < Duration::from_secs(1), "{:?}", generator.cpu);
}
