//! TLS with the clients that people use.

mod desk;

use std::io::{BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use plimsoll_testbed::browser::Browser;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::{exchange, node, process, python};
use rustix::process::Signal;
use serde_json::Value;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http;
use crate::origin::Origin;
pub(crate) use desk::Desk;
use desk::serving;

/// Runs a program to its end, without anything to read.
pub(crate) fn tool(name: &str, words: &[&str]) -> Output {
    let program = process::find(Path::new(name)).unwrap();
    Command::new(program).args(words).stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What curl gets from `https://HOST:PORT/`, with these words besides.
fn curl(desk: &Desk, fleet: &Fleet, host: &str, words: &[&str]) -> Output {
    let (url, authority) = (format!("https://{host}:{}/x", fleet.tls_port()), desk.word("ca.pem"));
    let here = format!("{host}:{}:127.0.0.1", fleet.tls_port());
    tool("curl", &[&["-sS", "--max-time", "20", "--cacert", &authority, "--resolve", &here, &url], words].concat())
}

/// What `openssl s_client` says about a handshake.
fn s_client(desk: &Desk, fleet: &Fleet, words: &[&str]) -> String {
    let (address, authority) = (format!("127.0.0.1:{}", fleet.tls_port()), desk.word("ca.pem"));
    text(&tool("openssl", &[&["s_client", "-connect", &address, "-CAfile", &authority, "-verify_return_error"], words].concat()))
}

fn shop() -> (Desk, Origin) {
    let desk = Desk::new();
    desk.certificate("shop", &["localhost", "shop.example"], 90);
    (desk, Origin::tcp("origin"))
}

#[test]
fn one_word_makes_a_development_certificate_and_the_line_in_the_banner_works() {
    let fleet = Launch::new(&["up", "--tls", "localhost", "--tls-port", "0"]).fleet();
    let log = fleet.log();
    let line = log.lines().find_map(|line| line.strip_prefix("try    ")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.starts_with("curl -i --cacert ") && line.contains(&format!("https://localhost:{}/", fleet.tls_port())), "{line}");
    let answer = text(&tool("sh", &["-c", line]));
    assert!(answer.contains("HTTP/2 200") && answer.contains("\"instance\""), "{answer}");
    let authority = fleet.data_dir().join("tls/ca.pem");
    assert!(log.contains(&authority.display().to_string()), "{log}");

    // Nobody else is believed, and by nobody else.
    let url = format!("https://localhost:{}/whoami", fleet.tls_port());
    let stranger = tool("curl", &["-sS", &url]);
    assert_eq!(stranger.status.code(), Some(60), "{}", text(&stranger));
    let by_address = tool("curl", &["-sS", "--cacert", &authority.display().to_string(), &url.replace("localhost", "127.0.0.1")]);
    assert!(by_address.status.success(), "{}", text(&by_address));

    let moved = fleet.client().get("/whoami?a=b");
    assert_eq!((moved.status, moved.header("Location")), (308, format!("{url}?a=b").as_str()));
    let login = ["-sS", "-i", "--cacert", &authority.display().to_string(), "--json", r#"{"username":"ada"}"#];
    let answer = text(&tool("curl", &[&login[..], &[&url.replace("whoami", "login")]].concat()));
    let cookie = answer.lines().find(|line| line.to_lowercase().starts_with("set-cookie:")).unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.contains("; Secure"), "{cookie}");
    let status = fleet.status();
    assert_eq!(status["tls"]["certificates"][0]["source"], "development", "{status}");
    fleet.stop();
}

#[test]
fn the_authority_is_kept_for_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("tls/ca.pem");
    let start = || {
        let words = ["up", "--instances", "1", "--tls", "app.test", "--tls-port", "0"];
        let fleet = Launch::new(&words).data_dir(directory.path()).fleet();
        let url = format!("https://app.test:{}/whoami", fleet.tls_port());
        let here = format!("app.test:{}:127.0.0.1", fleet.tls_port());
        let output = tool("curl", &["-sS", "--cacert", &authority.display().to_string(), "--resolve", &here, &url]);
        assert!(output.status.success(), "{}", text(&output));
        fleet.stop();
        std::fs::read_to_string(&authority).unwrap()
    };
    assert_eq!(start(), start());
}

#[test]
fn curl_speaks_both_protocols_and_both_versions_and_instances_know() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    for (words, protocol) in
        [(&["--http1.1"][..], "1.1"), (&["--http2"], "2"), (&["--tlsv1.2", "--tls-max", "1.2"], "2"), (&["--tlsv1.3"], "2")]
    {
        let output = curl(&desk, &fleet, "shop.example", &[words, &["-w", "\n%{http_version}"]].concat());
        let answer = text(&output);
        let (body, version) = answer.rsplit_once('\n').unwrap_or_else(|| panic!("{answer}"));
        assert_eq!(version, protocol, "{words:?}: {answer}");
        let headers = serde_json::from_str::<Value>(body).unwrap_or_else(|error| panic!("{error}: {answer}"))["headers"].to_string();
        assert!(headers.to_lowercase().contains("\"x-forwarded-proto: https\"") && headers.contains(";proto=https\""), "{headers}");
    }
    assert_eq!(curl(&desk, &fleet, "other.example", &[]).status.code(), Some(60), "the certificate is for another name");
    let plain = tool(
        "curl",
        &["-sS", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", &format!("http://localhost:{}/x", fleet.tls_port())],
    );
    assert_eq!(text(&plain), format!("308 https://localhost:{}/x", fleet.tls_port()));
    fleet.stop();
}

#[test]
fn openssl_agrees_on_versions_names_and_resumption() {
    let (desk, origin) = shop();
    desk.certificate("wild", &["*.wild.example"], 90);
    let fleet = desk.gateway(&origin, &serving(&["shop", "wild"]));
    for (version, protocol) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = s_client(&desk, &fleet, &[version, "-servername", "shop.example", "-alpn", "h2,http/1.1"]);
        assert!(said.contains(protocol) && said.contains("Verify return code: 0 (ok)") && said.contains("ALPN protocol: h2"), "{said}");
    }
    let old = s_client(&desk, &fleet, &["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"]);
    assert!(old.contains("no peer certificate available"), "{old}");
    for (name, subject) in [("shop.example", "CN=shop"), ("cart.wild.example", "CN=wild"), ("other.test", "CN=shop")] {
        let said = s_client(&desk, &fleet, &["-servername", name]).replace("CN = ", "CN=");
        assert!(said.contains(&format!("subject={subject}")), "{name}: {said}");
    }
    let unnamed = s_client(&desk, &fleet, &["-noservername"]).replace("CN = ", "CN=");
    assert!(unnamed.contains("subject=CN=shop"), "{unnamed}");

    let ticket = desk.word("ticket");
    for version in ["-tls1_2", "-tls1_3"] {
        let words = format!(
            "printf 'GET /x HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | openssl s_client -connect 127.0.0.1:{} -CAfile {} \
             -servername shop.example -ign_eof {version}",
            fleet.tls_port(),
            desk.word("ca.pem")
        );
        let first = text(&tool("sh", &["-c", &format!("{words} -sess_out {ticket}")]));
        assert!(first.contains("New, TLS"), "{first}");
        let again = text(&tool("sh", &["-c", &format!("{words} -sess_in {ticket}")]));
        assert!(again.contains("Reused, TLS") && again.contains("HTTP/1.1 200"), "{again}");
    }
    fleet.stop();
}

#[test]
fn only_the_newest_version_can_be_asked_for() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &format!("{}version_min = \"1.3\"", serving(&["shop"])));
    assert_eq!(curl(&desk, &fleet, "shop.example", &["--tls-max", "1.2"]).status.code(), Some(35));
    assert!(curl(&desk, &fleet, "shop.example", &[]).status.success());
    let metrics = exchange::get(fleet.admin_port(), "/metrics").unwrap().body;
    assert!(metrics.contains("plimsoll_tls_handshake_failures_total{reason=\"incompatible\"} 1"), "{metrics}");
    assert!(metrics.contains("plimsoll_tls_handshakes_total{kind=\"full\"} 1"), "{metrics}");
    fleet.stop();
}

#[test]
fn python_and_node_come_encrypted_by_both_protocols() {
    const HTTPX: &str = "import httpx, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[2])
for http2 in (False, True):
    with httpx.Client(verify=context, http2=http2) as client:
        for _ in range(3):
            answer = client.get(sys.argv[1])
            assert answer.status_code == 200 and answer.json()['name'] == 'origin', answer
        print(answer.http_version)
";
    const NODE: &str = "const [url, file] = process.argv.slice(1);
const ca = require('fs').readFileSync(file);
require('https').get(url, { ca }, (answer) => {
  answer.resume();
  answer.on('end', () => {
    console.log('HTTP/' + answer.httpVersion, answer.statusCode);
    const session = require('http2').connect(url, { ca });
    const stream = session.request({ ':path': '/x' });
    stream.on('response', (headers) => console.log(session.alpnProtocol, headers[':status']));
    stream.on('end', () => session.close()).resume();
  });
});
";
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    let (url, authority) = (format!("https://localhost:{}/x", fleet.tls_port()), desk.word("ca.pem"));
    let python = python::program("python").unwrap().display().to_string();
    assert_eq!(text(&tool(&python, &["-c", HTTPX, &url, &authority])), "HTTP/1.1\nHTTP/2\n");
    let node = node::program().unwrap().display().to_string();
    assert_eq!(text(&tool(&node, &["-e", NODE, &url, &authority])), "HTTP/1.1 200\nh2 200\n");
    fleet.stop();
}

/// What a browser is told about a key so that it believes it.
const KEY_HASH: &str = "| openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64";

#[test]
fn a_browser_that_comes_by_http_stays_on_https() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    let hash = text(&tool("sh", &["-c", &format!("openssl x509 -pubkey -noout -in {} {KEY_HASH}", desk.word("shop.pem"))]));
    let browser = Browser::start_believing(hash.trim()).unwrap();
    browser.open(&format!("http://localhost:{}/x?a=b", fleet.port())).unwrap();
    assert_eq!(browser.eval("return location.href").unwrap(), format!("https://localhost:{}/x?a=b", fleet.tls_port()));
    assert_eq!(browser.eval("return performance.getEntriesByType('navigation')[0].nextHopProtocol").unwrap(), "h2");
    assert!(browser.text("body").unwrap().is_some_and(|text| text.contains("origin")));
    fleet.stop();
}

/// `N succeeded` and the like out of h2load's summary.
pub(crate) fn h2load(fleet: &Fleet, words: &[&str]) -> (u64, u64) {
    let url = format!("https://localhost:{}/x", fleet.tls_port());
    let said = text(&tool("h2load", &[words, &[&url]].concat()));
    let line = said.lines().find(|line| line.starts_with("requests:")).unwrap_or_else(|| panic!("{said}"));
    let count = |word: &str| {
        let part = line.split(", ").find(|part| part.ends_with(word)).unwrap_or_else(|| panic!("{line}"));
        part.trim_start_matches("requests: ").split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let codes = said.lines().find(|line| line.starts_with("status codes:")).unwrap_or_else(|| panic!("{said}"));
    let good = codes.trim_start_matches("status codes: ").split(' ').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(count("succeeded"), good, "{said}");
    (good, count("failed") + count("errored") + count("timeout"))
}

#[test]
fn h2load_gets_every_answer_by_both_protocols() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    assert_eq!(h2load(&fleet, &["-n", "400", "-c", "4", "-m", "16"]), (400, 0));
    assert_eq!(h2load(&fleet, &["-n", "400", "-c", "4", "--h1"]), (400, 0));
    fleet.stop();
}

#[test]
fn a_certificate_is_renewed_under_load_and_no_request_fails() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    let before = s_client(&desk, &fleet, &["-servername", "shop.example"]);
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    thread::scope(|scope| {
        let load = scope.spawn(|| h2load(&fleet, &["-D", "8", "-c", "4", "-m", "4", "--rps", "20"]));
        // Each on a connection of its own: handshakes go on, too.
        let newcomers = scope.spawn(|| {
            while !stop.load(Relaxed) {
                let output = curl(&desk, &fleet, "shop.example", &["-o", "/dev/null"]);
                assert!(output.status.success(), "{}", text(&output));
                asked.fetch_add(1, Relaxed);
            }
        });
        let begun = || Ok((asked.load(Relaxed) > 3).then_some(()));
        until_blocking(PATIENCE, "the load to begin", begun).unwrap();

        // One file after the other, as tools do; in between nothing fits.
        let wrong = Desk::new();
        wrong.certificate("shop", &["shop.example"], 1);
        desk.replace("shop.pem", &std::fs::read_to_string(wrong.path("shop.pem")).unwrap());
        let told = || Ok(fleet.log().contains("a certificate cannot be renewed").then_some(()));
        until_blocking(PATIENCE, "the trouble to be told", told).unwrap();
        desk.certificate("shop", &["localhost", "shop.example"], 60);
        let renewed = || Ok(fleet.log().contains("a certificate was renewed").then_some(()));
        until_blocking(PATIENCE, "the renewal", renewed).unwrap();
        let (good, bad) = load.join().unwrap();
        stop.store(true, Relaxed);
        newcomers.join().unwrap();
        assert!(good > 100 && bad == 0, "{good} good, {bad} bad");
    });
    let after = s_client(&desk, &fleet, &["-servername", "shop.example"]);
    let shown = |said: &str| said.split("-----END CERTIFICATE-----").next().unwrap().split("-----BEGIN").nth(1).unwrap().to_owned();
    assert_ne!(shown(&before), shown(&after));
    assert_eq!(fleet.log().matches("a certificate cannot be renewed").count(), 1, "told once");
    fleet.stop();
}

#[test]
fn clients_without_the_right_certificate_are_turned_away() {
    let (desk, origin) = shop();
    desk.certificate("client", &["client"], 90);
    let stranger = Desk::new();
    stranger.certificate("client", &["client"], 90);
    let fleet = desk.gateway(&origin, &format!("{}client_ca = \"ca.pem\"", serving(&["shop"])));
    let with = |desk: &Desk| ["--cert".to_owned(), desk.word("client.pem"), "--key".to_owned(), desk.word("client.key")];
    let known = with(&desk);
    let claim = ["-H", "Client-Cert: :bm9ib2R5:"];
    let answer = curl(&desk, &fleet, "shop.example", &[&known.each_ref().map(String::as_str)[..], &claim].concat());
    let headers = serde_json::from_slice::<Value>(&answer.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&answer)));
    let headers: Vec<_> = headers["headers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let shown: Vec<_> = headers.iter().filter(|line| line.to_lowercase().starts_with("client-cert:")).collect();
    let pem = std::fs::read_to_string(desk.path("client.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert_eq!(shown.len(), 1, "{headers:?}");
    assert!(shown[0].ends_with(&format!(" :{der}:")), "{shown:?}");

    for words in [&[][..], &with(&stranger).each_ref().map(String::as_str)] {
        let refused = curl(&desk, &fleet, "shop.example", words);
        assert!(!refused.status.success() && refused.stdout.is_empty(), "{}", text(&refused));
    }
    fleet.stop();
}

#[test]
fn hsts_is_said_over_https_and_the_redirect_can_be_switched_off() {
    let (desk, origin) = shop();
    let fleet = desk.gateway(&origin, &format!("{}redirect = \"off\"\nhsts = \"1h\"", serving(&["shop"])));
    let plain = fleet.client().get("/x");
    assert_eq!((plain.status, plain.header("Strict-Transport-Security")), (200, ""));
    let secure = text(&curl(&desk, &fleet, "shop.example", &["-i"]));
    assert!(secure.to_lowercase().contains("strict-transport-security: max-age=3600"), "{secure}");
    fleet.stop();
}

#[test]
fn a_reload_takes_further_certificates_and_nothing_of_what_is_wrong() {
    let (desk, origin) = shop();
    desk.certificate("other", &["other.example"], 90);
    let fleet = desk.gateway(&origin, &serving(&["shop"]));
    let mut kept = Command::new(process::find(Path::new("openssl")).unwrap());
    kept.args(["s_client", "-quiet", "-servername", "shop.example", "-connect", &format!("127.0.0.1:{}", fleet.tls_port())]);
    let mut kept = kept.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut answers = BufReader::new(kept.stdout.take().unwrap());
    let mut ask_again = || {
        write!(kept.stdin.as_mut().unwrap(), "HEAD /x HTTP/1.1\r\nHost: shop.example\r\n\r\n").unwrap();
        http::head(&mut answers).unwrap().status
    };
    assert_eq!(ask_again(), 200);
    assert_eq!(curl(&desk, &fleet, "other.example", &[]).status.code(), Some(60));

    std::fs::copy(desk.path("other.key"), desk.path("wrong.key")).unwrap();
    std::fs::copy(desk.path("shop.pem"), desk.path("wrong.pem")).unwrap();
    desk.write_settings(&origin, &format!("{}hsts = \"1h\"", serving(&["shop", "other", "wrong"])));
    fleet.signal(Signal::HUP);
    let refused = || Ok(fleet.log().contains("the key in wrong.key does not belong to the certificate in wrong.pem").then_some(()));
    until_blocking(PATIENCE, "the refusal", refused).unwrap();
    assert_eq!(curl(&desk, &fleet, "other.example", &[]).status.code(), Some(60), "nothing has changed");

    desk.write_settings(&origin, &format!("{}hsts = \"1h\"", serving(&["shop", "other"])));
    fleet.signal(Signal::HUP);
    let taken = || Ok(curl(&desk, &fleet, "other.example", &[]).status.success().then_some(()));
    until_blocking(PATIENCE, "the new certificate", taken).unwrap();
    assert!(text(&curl(&desk, &fleet, "shop.example", &["-i"])).to_lowercase().contains("strict-transport-security: max-age=3600"));
    assert_eq!(ask_again(), 200, "an open connection has outlived both");
    kept.kill().unwrap();
    kept.wait().unwrap();
    fleet.stop();
}

/// What `plimsoll check` says, and its exit code.
fn check(desk: &Desk) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let output = command.env_clear().arg("check").current_dir(desk.directory()).output().unwrap();
    (output.status.code(), text(&output))
}

#[test]
fn check_names_every_file_that_is_wrong_and_a_start_refuses_them() {
    let (desk, origin) = shop();
    desk.certificate("soon", &["soon.example"], 5);
    desk.certificate("other", &["other.example"], 90);
    desk.write_settings(&origin, &serving(&["shop", "soon"]));
    let (code, said) = check(&desk);
    assert!(code == Some(0) && said.contains("the certificate in soon.pem expires in 4 days") && said.contains("1 warning"), "{said}");

    std::fs::copy(desk.path("other.key"), desk.path("shop.key")).unwrap();
    desk.write_settings(&origin, &format!("{}client_ca = \"nowhere.pem\"", serving(&["shop", "missing"])));
    let (code, said) = check(&desk);
    assert_eq!(code, Some(2), "{said}");
    for expected in [
        "the key in shop.key does not belong to the certificate in shop.pem",
        "cannot read missing.pem",
        "cannot read nowhere.pem",
        "plimsoll.toml:2:",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    let refused = Launch::new(&["gateway"]).working_dir(desk.directory()).refused();
    assert!(refused.code == Some(2) && refused.text.contains("the key in shop.key does not belong"), "{refused:?}");
}

#[test]
fn status_warns_of_a_certificate_that_ends_soon() {
    let (desk, origin) = shop();
    desk.certificate("soon", &["soon.example"], 5);
    let fleet = desk.gateway(&origin, &serving(&["shop", "soon"]));
    let data_dir = fleet.data_dir().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let said = text(&command.env_clear().args(["status", "--data-dir", &data_dir]).output().unwrap());
    assert!(said.contains("soon.pem") && said.contains("expires in 4 days") && !said.contains("shop.pem"), "{said}");
    let metrics = exchange::get(fleet.admin_port(), "/metrics").unwrap().body;
    assert_eq!(
        metrics.lines().filter(|line| line.starts_with("plimsoll_tls_certificate_expiry_timestamp_seconds{")).count(),
        2,
        "{metrics}"
    );
    fleet.stop();
}
