//! `plimsoll status`: how the running fleet is doing, asked over its control socket.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use plimsoll_gateway::tls::EXPIRES_SOON;
use plimsoll_telemetry::Status;
use plimsoll_telemetry::snapshot::CertificateSnapshot;
use plimsoll_telemetry::status::LoadLineStatus;

use crate::edge::tls::days;
use crate::report::Failure;
use crate::verbs::ask;

pub fn run(data_dir: &Path, json: bool) -> Result<(), Failure> {
    let body = ask::ask(data_dir, "GET /api/status", ask::PATIENCE)?;
    if json {
        println!("{body}");
        return Ok(());
    }
    let status = serde_json::from_str(&body).context("the fleet's answer cannot be read; is it another version of plimsoll?")?;
    print!("{}", table(&status));
    Ok(())
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
    if !status.reload.last_ok {
        let since = age(status.reload.last_unix_ms.saturating_sub(status.reload.last_success_unix_ms));
        let _ = writeln!(text, "the last reload failed: the settings in force were read {since} before it; `plimsoll reload` says why");
    }
    for line in &status.load_lines {
        let _ = writeln!(text, "{}", load_line(line));
    }
    for trouble in &status.tls.troubles {
        let again = UNIX_EPOCH + Duration::from_secs(trouble.again_at_unix);
        let again_in =
            again.duration_since(SystemTime::now()).map_or("now".to_owned(), |left| format!("in {}", age(left.as_millis() as u64)));
        let _ = writeln!(text, "no certificate can be had for {}: {}; the next order is due {again_in}", trouble.name, trouble.problem);
    }
    for certificate in &status.tls.certificates {
        if let Some(concern) = concern(certificate, SystemTime::now()) {
            let _ = writeln!(text, "{concern}");
        }
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

/// What is to be said of a certificate that ends soon.
fn concern(certificate: &CertificateSnapshot, now: SystemTime) -> Option<String> {
    let end = UNIX_EPOCH + Duration::from_secs(certificate.not_after_unix);
    let said = match end.duration_since(now) {
        // Those of an authority that is asked for them may live for less than that; what hinders a renewal is said above.
        Ok(left) if left >= EXPIRES_SOON || certificate.renews_itself => return None,
        Ok(left) => format!("expires in {}: renew it", days(left)),
        Err(_) => "has expired: clients refuse it".to_owned(),
    };
    Some(format!("certificate {} ({}) {said}", certificate.source, certificate.names.join(" ")))
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
