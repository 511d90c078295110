//! `/metrics` as Prometheus reads it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use plimsoll_telemetry::Histogram;
use plimsoll_testbed::process::find;

use crate::client::get;
use crate::fixture::{Admin, Fleet, quick, ready};

#[tokio::test]
async fn prometheus_finds_nothing_to_criticise() {
    let latency = Histogram::default();
    for us in [90, 1_000, 3_300, 250_000, 70_000_000] {
        latency.record(Duration::from_micros(us));
    }
    let fleet = Fleet::new(3);
    fleet.change(|snapshot| {
        snapshot.edge.latency = latency.counts();
        snapshot.edge.responses_total = [1, 5_000, 3, 2, 1];
        snapshot.edge.refusals_total = vec![("no-instance".into(), 3), ("draining".into(), 0)];
        snapshot.instances[0].latency = latency.counts();
        snapshot.instances.push(ready("quote\" backslash\\ newline\n umlaut ü"));
    });
    let admin = Admin::start(&fleet, quick()).await;
    let answer = get(admin.address, "/metrics", &[]).await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert!(answer.body.contains("plimsoll_http_requests_total{code_class=\"2xx\"} 5000\n"));
    assert_eq!(criticism(&answer.body), "");
}

#[test]
fn prometheus_would_criticise_bad_text() {
    assert_ne!(criticism("# TYPE bad_counter counter\nbad_counter 1\n"), "");
}

/// What `promtool check metrics` says.
fn criticism(text: &str) -> String {
    let promtool = find(Path::new("promtool")).unwrap();
    let mut command = Command::new(promtool);
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    format!("{}{}", String::from_utf8_lossy(&said), if output.status.success() { "" } else { "failed" })
}
