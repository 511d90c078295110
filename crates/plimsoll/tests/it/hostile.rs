//! slowhttptest's three modes with two thousand connections each: whoever else asks notices nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::process::Process;
use tokio::net::TcpSocket;

use crate::fleet::{Fleet, Launch, PATIENCE};

const CONNECTIONS: u32 = 2_000;
const SECONDS: u32 = 15;
/// Where the others come from. The attacker is 127.0.0.1.
const OTHERS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ASK_EVERY: Duration = Duration::from_millis(25);

/// A page worth reading slowly, and a small one for everybody else. Ends with the test's process.
fn origin() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(&stream));
        }
    });
    port
}

fn serve(stream: &TcpStream) -> Option<()> {
    let mut requests = BufReader::new(stream);
    let mut answers = stream;
    loop {
        let (mut line, mut length) = (String::new(), 0);
        requests.read_line(&mut line).ok()?;
        let page = if line.contains("/large") { vec![b'x'; 1 << 20] } else { b"small".to_vec() };
        loop {
            let mut field = String::new();
            requests.read_line(&mut field).ok().filter(|count| *count > 0)?;
            if let Some(value) = field.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if field.trim().is_empty() {
                break;
            }
        }
        requests.read_exact(&mut vec![0; length]).ok()?;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", page.len());
        // In one piece, or the second one waits for an acknowledgement.
        answers.write_all(&[head.as_bytes(), &page].concat()).ok()?;
    }
}

/// Somebody who asks all the while, each time on a new connection.
struct Bystander {
    is_over: Arc<AtomicBool>,
    asking: JoinHandle<Vec<Result<Duration, String>>>,
}

impl Bystander {
    fn start(port: u16) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        let asking = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut seen = Vec::new();
            while !over.load(Relaxed) {
                let started = Instant::now();
                seen.push(ask(&runtime, port).map(|()| started.elapsed()).map_err(|error| error.to_string()));
                thread::park_timeout(ASK_EVERY);
            }
            seen
        });
        Self { is_over, asking }
    }

    fn stop(self) -> Vec<Result<Duration, String>> {
        self.is_over.store(true, Relaxed);
        self.asking.join().unwrap()
    }
}

fn ask(runtime: &tokio::runtime::Runtime, port: u16) -> std::io::Result<()> {
    let stream = runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((OTHERS, 0)))?;
        socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).write_all(b"GET /small HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    (&stream).read_to_string(&mut answer)?;
    let is_whole = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("small");
    if is_whole { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

fn edge(directory: &Path, settings: &str) -> Fleet {
    let file = format!(
        "{settings}\n[[upstream]]\nname = \"o\"\nservers = [\"http://127.0.0.1:{}\"]\n\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n",
        origin()
    );
    std::fs::write(directory.join("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(directory).fleet()
}

fn quantile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Attacks, and looks at everybody else meanwhile.
fn attack(mode: &[&str], target: &str, settings: &str) -> (Fleet, String) {
    let directory = tempfile::tempdir().unwrap();
    let fleet = edge(directory.path(), settings);
    let port = fleet.port();
    let bystander = Bystander::start(port);
    let mut slowhttptest = Command::new("sh");
    // It counts descriptors before it starts.
    slowhttptest.args(["-c", "ulimit -n 16384; exec slowhttptest \"$@\"", "slowhttptest"]).args(mode).args([
        "-c",
        &CONNECTIONS.to_string(),
        "-r",
        "1000",
        "-l",
        &SECONDS.to_string(),
        "-p",
        "5",
        "-u",
        &format!("http://127.0.0.1:{port}{target}"),
    ]);
    let mut attacker = Process::start("slowhttptest", &slowhttptest, directory.path()).unwrap();
    let patience = Duration::from_secs(u64::from(SECONDS)) + PATIENCE;
    until_blocking(patience, "slowhttptest to end", || Ok(attacker.exit_status())).unwrap();
    let seen = bystander.stop();
    let failures: Vec<_> = seen.iter().filter_map(|each| each.as_ref().err()).collect();
    assert!(failures.is_empty(), "{} of {} failed: {:?}", failures.len(), seen.len(), failures.first());
    let mut times: Vec<_> = seen.into_iter().flatten().collect();
    times.sort_unstable();
    let (median, p99) = (quantile(&times, 0.5), quantile(&times, 0.99));
    println!("{} asked meanwhile: median {median:?}, p99 {p99:?}, slowest {:?}", times.len(), times[times.len() - 1]);
    assert!(times.len() > 100, "only {} were asked", times.len());
    assert!(median < Duration::from_millis(50) && p99 < Duration::from_secs(1), "median {median:?}, p99 {p99:?}");
    (fleet, attacker.log())
}

/// With the cap on connections from one address, which alone would be enough.
#[test]
fn two_thousand_heads_that_never_end_disturb_nobody() {
    let (fleet, log) = attack(&["-H", "-i", "3", "-t", "GET"], "/small", "");
    let refused = &fleet.status()["edge"]["refusals_total"];
    assert!(refused["too-many-from-client"].as_u64().is_some_and(|count| count > 500), "{refused}\n{log}");
    fleet.stop();
}

#[test]
fn two_thousand_bodies_by_the_drop_disturb_nobody() {
    let (fleet, log) = attack(&["-B", "-i", "2", "-s", "8192", "-x", "10"], "/small", "[gateway.limits]\nconnections_per_client_max = 0\n");
    let refused = &fleet.status()["edge"]["refusals_total"];
    assert!(refused["body-too-slow"].as_u64().is_some_and(|count| count > 500), "{refused}\n{log}");
    fleet.stop();
}

#[test]
fn two_thousand_answers_read_by_the_sip_disturb_nobody() {
    let settings = "[gateway.limits]\nconnections_per_client_max = 0\n\n[gateway.timeouts]\nwrite_idle = \"4s\"\n";
    let (fleet, log) = attack(&["-X", "-w", "10", "-y", "20", "-n", "2", "-z", "32", "-k", "3"], "/large", settings);
    let given_up = fleet.log().matches("accepted nothing for too long").count();
    assert!(given_up > 1_500, "only {given_up} were broken off\n{log}");
    fleet.stop();
}
