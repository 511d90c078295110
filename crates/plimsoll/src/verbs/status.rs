//! `plimsoll status`: how the running fleet is doing, asked over its control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, anyhow};
use plimsoll_telemetry::Status;
use plimsoll_telemetry::status::LoadLineStatus;

use crate::cli::StatusArgs;
use crate::config::Settings;
use crate::data_dir;
use crate::report::Failure;

const PATIENCE: Duration = Duration::from_secs(5);
/// A thousand instances fit.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

pub fn run(args: &StatusArgs, settings: &Settings) -> Result<(), Failure> {
    let body = ask(settings)?;
    if args.json {
        println!("{body}");
        return Ok(());
    }
    let status = serde_json::from_str(&body).context("the fleet's answer cannot be read; is it another version of plimsoll?")?;
    print!("{}", table(&status));
    Ok(())
}

fn ask(settings: &Settings) -> Result<String, Failure> {
    let path = data_dir::socket_in(&settings.data_dir);
    let stream = UnixStream::connect(&path).map_err(|error| {
        let nobody = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let error = anyhow!(error).context(format!("cannot reach the fleet at `{}`", path.display()));
        let hint = if nobody {
            "no fleet runs with this data directory; start one with `plimsoll up`, or name its directory with --data-dir"
        } else {
            "run it as the user who started the fleet"
        };
        Failure::failed(error).hint(hint)
    })?;
    Ok(answer(stream).with_context(|| format!("the fleet at `{}` does not answer", path.display()))?)
}

/// One request, one answer, close: HTTP/1.0 needs no more.
fn answer(mut stream: UnixStream) -> anyhow::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /api/status HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    if head.split(' ').nth(1) == Some("200") { Ok(body.to_owned()) } else { Err(anyhow!("{}", head.lines().next().unwrap_or_default())) }
}

fn table(status: &Status) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let edge = &status.edge;
    let draining = if status.draining { "   draining" } else { "" };
    let _ = writeln!(
        text,
        "plimsoll {}   up {}   {}   {}{draining}",
        status.version,
        age(status.uptime_ms),
        status.public_url,
        status.admin_url
    );
    let _ = writeln!(
        text,
        "{:.1} requests/s   {} in flight   p50 {}   p99 {}   {:.2} % errors   {:.1} refused/s   {} retries",
        edge.rate_per_second,
        edge.in_flight,
        millis(edge.p50_ms),
        millis(edge.p99_ms),
        edge.error_rate * 100.0,
        edge.shed_per_second,
        edge.retries.total
    );
    for line in &status.load_lines {
        let _ = writeln!(text, "{}", load_line(line));
    }
    text.push('\n');
    let widest = status.instances.iter().map(|instance| instance.id.len()).max().unwrap_or(0).max(8);
    let _ = writeln!(
        text,
        "{:widest$}  {:9}  {:>7}  {:>8}  {:>8}  {:>9}  {:>6}  {:>8}  {:>8}  {:>8}",
        "INSTANCE", "STATE", "PID", "UP", "RESTARTS", "IN FLIGHT", "RATE", "P50", "P99", "ERRORS"
    );
    for instance in &status.instances {
        let _ = writeln!(
            text,
            "{:widest$}  {:9}  {:>7}  {:>8}  {:>8}  {:>9}  {:>6.1}  {:>8}  {:>8}  {:>6.2} %",
            instance.id,
            instance.state.as_str(),
            instance.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            instance.uptime_ms.map_or("-".to_owned(), age),
            instance.restarts_total,
            instance.in_flight,
            instance.rate_per_second,
            millis(instance.p50_ms),
            millis(instance.p99_ms),
            instance.error_rate * 100.0
        );
    }
    let _ = writeln!(text, "\nrates, percentiles and shares: the last {}; restarts and retries: since the start", age(status.window_ms));
    text
}

fn load_line(line: &LoadLineStatus) -> String {
    let state = if line.overloaded { "overloaded" } else { "calm" };
    let lingering = if line.lingering > 0 { format!(", {} of them for clients that left", line.lingering) } else { String::new() };
    format!(
        "load line of {}: {} of {} places taken{lingering}   {} waiting   {:.1} refused/s   {state}",
        line.upstream, line.in_flight, line.limit, line.waiting, line.shed_per_second
    )
}

fn millis(ms: Option<f64>) -> String {
    ms.map_or("-".to_owned(), |ms| format!("{ms:.1} ms"))
}

fn age(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}
