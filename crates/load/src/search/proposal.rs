//! A `plimsoll.toml` to begin with: few settings, each with the measurement it follows from.

use std::fmt::Write;
use std::time::Duration;

use crate::plan::Plan;
use crate::report::format;
use crate::slo::Slo;
use crate::target::{Place, Scheme};

/// The edge's own time for a connection and for a place in its queue: an attempt needs at least this much.
const TOTAL_MIN: Duration = Duration::from_secs(2);

/// Where the edge listens if nothing is said, and where it should if a server is there.
const PORTS: [(&str, u16, u16); 2] = [("gateway", 8080, 8090), ("admin", 8081, 8091)];

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
    ports(&mut text, plan);
    timeouts(&mut text, plan.timeout);
    text
}

/// The same for a target that is an edge already: nothing to put in front of it.
pub(super) fn for_edge(plan: &Plan) -> String {
    let mut text = "# What was measured is a Plimsoll edge: this belongs into its own file.\n".to_owned();
    timeouts(&mut text, plan.timeout);
    text
}

/// The edge cannot listen where the server does, and must not be its own server.
fn ports(text: &mut String, plan: &Plan) {
    let Place::Tcp { port, .. } = plan.target.place else { return };
    for (listener, usual, other) in PORTS {
        if port == usual && plan.target.is_local() {
            put(text, format_args!("[{listener}]\n# The server has port {usual}, which the edge would take.\nport = {other}\n\n"));
        }
    }
}

fn timeouts(text: &mut String, patience: Duration) {
    let total = (patience * 2).max(TOTAL_MIN);
    text.push_str("[gateway.timeouts]\n");
    put(
        text,
        format_args!(
            "# Clients of this measurement waited {}: an answer that begins later helps nobody.\n",
            format::time(patience.as_secs_f64())
        ),
    );
    put(text, format_args!("first_byte = \"{}\"\n# Room for a second attempt.\ntotal = \"{}\"\n", time(patience), time(total)));
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
    fn an_edge_gets_no_edge_in_front_of_it() {
        let text = for_edge(&Plan::new(":8080".parse().unwrap(), Pace::constant(1.0, Duration::from_secs(1))));
        assert!(!text.contains("[[upstream]]") && text.contains("[gateway.timeouts]"), "{text}");
    }

    #[test]
    fn it_names_the_server_and_says_why() {
        let pace = Pace::constant(1.0, Duration::from_secs(1));
        let plan = Plan { timeout: Duration::from_secs(1), ..Plan::new("http://127.0.0.1:9000/feed".parse().unwrap(), pace.clone()) };
        insta::assert_snapshot!(file(&plan, &Slo::default(), Some(250.0), 7.3));
        for (url, port) in [
            ("http://localhost:8080/", "[gateway]\n# The server has port 8080, which the edge would take.\nport = 8090\n"),
            ("http://[::1]:8081/", "port = 8091\n"),
        ] {
            let text = file(&Plan::new(url.parse().unwrap(), pace.clone()), &Slo::default(), None, 0.0);
            assert!(text.contains(port), "{text}");
        }
        let elsewhere = Plan { timeout: Duration::from_millis(1_500), ..Plan::new("https://example.test/".parse().unwrap(), pace) };
        let text = file(&elsewhere, &Slo::default(), None, 0.0);
        assert!(!text.contains("[[upstream]]") && text.contains("first_byte = \"1500ms\"\n") && text.contains("total = \"3s\""), "{text}");
    }
}
