//! A `plimsoll.toml` to begin with: few settings, each with the measurement it follows from.

use std::fmt::Write;
use std::time::Duration;

use crate::plan::Plan;
use crate::report::format;
use crate::slo::Slo;
use crate::target::{Place, Scheme};

/// The edge's own time for a connection and for a place in its queue: an attempt needs at least this much.
const TOTAL_MIN: Duration = Duration::from_secs(2);

/// The file's text. `in_flight` is how many requests were under way at the limit.
pub(super) fn file(plan: &Plan, slo: &Slo, limit: Option<f64>, in_flight: f64) -> String {
    let mut text = String::new();
    if let Some(rate) = limit {
        let (rate, in_flight) = (format::rate(rate), in_flight.ceil().max(1.0));
        put(&mut text, format_args!("# Measured: {slo} holds up to {rate} requests/s, with about {in_flight} requests under way.\n"));
        text.push_str("# The edge finds that number by itself and follows it when the app changes; there is nothing to set for it.\n\n");
    }
    match (&plan.target.place, plan.target.scheme) {
        (_, Scheme::Https) => text.push_str("# The edge speaks plain HTTP to its servers: name the one behind your TLS.\n"),
        (Place::Unix(socket), Scheme::Http) => servers(&mut text, &format!("unix:{}", socket.display())),
        (Place::Tcp { .. }, Scheme::Http) => servers(&mut text, &format!("http://{}", plan.target.authority())),
    }
    let patience = plan.timeout;
    let total = (patience * 2).max(TOTAL_MIN);
    text.push_str("[gateway.timeouts]\n");
    put(
        &mut text,
        format_args!(
            "# Clients of this measurement waited {}: an answer that begins later helps nobody.\n",
            format::time(patience.as_secs_f64())
        ),
    );
    put(&mut text, format_args!("first_byte = \"{}\"\n# Room for a second attempt.\ntotal = \"{}\"\n", time(patience), time(total)));
    text
}

fn servers(text: &mut String, server: &str) {
    let server = toml::Value::from(server);
    put(text, format_args!("[[upstream]]\nname = \"app\"\nservers = [{server}]\n\n[[route]]\nmatch = \"/*\"\nupstream = \"app\"\n\n"));
}

/// As the file takes it.
fn time(duration: Duration) -> String {
    if duration.subsec_millis() == 0 { format!("{}s", duration.as_secs()) } else { format!("{}ms", duration.as_millis()) }
}

fn put(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("a string takes it");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Pace;

    #[test]
    fn it_names_the_server_and_says_why() {
        let pace = Pace::constant(1.0, Duration::from_secs(1));
        let plan = Plan { timeout: Duration::from_secs(1), ..Plan::new("http://127.0.0.1:9000/feed".parse().unwrap(), pace.clone()) };
        insta::assert_snapshot!(file(&plan, &Slo::default(), Some(250.0), 7.3));
        let elsewhere = Plan { timeout: Duration::from_millis(1_500), ..Plan::new("https://example.test/".parse().unwrap(), pace) };
        let text = file(&elsewhere, &Slo::default(), None, 0.0);
        assert!(!text.contains("[[upstream]]") && text.contains("first_byte = \"1500ms\"\n") && text.contains("total = \"3s\""), "{text}");
    }
}
