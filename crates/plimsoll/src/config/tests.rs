//! Layers, origins, coherence, and that what is printed reads back.

use proptest::prelude::*;

use super::*;
use crate::config::upstream::ServerAddress;

/// Reads a file's text, an environment and flags; mistakes are their messages.
fn read<const V: usize, const F: usize>(
    file: &str,
    variables: [(&str, &str); V],
    flags: [(&'static str, &str); F],
) -> Result<Loaded, Vec<String>> {
    let mut draft = Draft::default();
    file::read("test.toml", file, &mut draft);
    let flags = Flags { config: None, values: flags.iter().map(|(flag, value)| (*flag, (*value).to_owned())).collect() };
    read_above_file(&flags, &Environment::of(variables), &mut draft);
    coherence::check(&mut draft);
    finish(draft, None, None).judged().map_err(|Mistakes(mistakes)| mistakes.into_iter().map(|mistake| mistake.message).collect())
}

#[track_caller]
fn file(text: &str) -> Loaded {
    read(text, [], []).unwrap()
}

/// Every mistake or warning of a file, with its line.
fn findings(text: &str) -> Vec<String> {
    let mut draft = Draft::default();
    file::read("test.toml", text, &mut draft);
    coherence::check(&mut draft);
    let line = |mistake: &Mistake| mistake.place.as_ref().map_or(0, Place::line);
    draft.mistakes.iter().map(|mistake| format!("{}: {}", line(mistake), mistake.message)).collect()
}

#[track_caller]
fn finds(text: &str, words: &str) {
    let findings = findings(text);
    assert!(findings.len() == 1 && findings[0].contains(words), "{text}: {findings:?}");
}

#[test]
fn a_protocol_is_agreed_on_only_where_there_is_tls() {
    let upstream = |server: &str, protocol: &str| {
        let route = "[[route]]\nmatch = \"/*\"\nupstream = \"a\"\n";
        format!("[[upstream]]\nname = \"a\"\nservers = [\"{server}\"]\nprotocol = \"{protocol}\"\n{route}")
    };
    finds(&upstream("http://127.0.0.1:9000", "auto"), "without TLS there is nothing to agree by");
    for (server, protocol) in [("https://127.0.0.1:9000", "auto"), ("http://127.0.0.1:9000", "http2"), ("unix:/run/app.sock", "http1")] {
        assert_eq!(findings(&upstream(server, protocol)), [""; 0], "{server} {protocol}");
    }
}

#[test]
fn defaults_are_coherent() {
    let loaded = file("");
    assert_eq!(loaded.settings, Settings::default());
    assert!(loaded.mistakes.is_empty() && loaded.origins.is_empty());
}

#[test]
fn printed_defaults_read_back_as_the_defaults() {
    let printed: String = TABLES
        .iter()
        .map(|table| {
            let header = if table.path.is_empty() { String::new() } else { format!("[{}]\n", table.path) };
            let lines = table.fields.iter().map(|field| format!("{} = {}\n", field.name(), (field.print)(&Settings::default())));
            header + &lines.collect::<String>()
        })
        .collect();
    let loaded = file(&printed);
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.origins.len(), fields().count(), "every setting was read");
}

#[test]
fn the_reference_file_shows_the_defaults_and_changes_nothing() {
    assert_eq!(file(&as_toml()).origins.len(), 0);
    let uncommented: String = as_toml()
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    let loaded = file(&uncommented);
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.origins.len(), fields().count());
}

#[test]
fn the_example_in_the_reference_file_works() {
    let reference = as_toml();
    let example = reference.split_once("# [[upstream]]").unwrap().1;
    let uncommented: String = example.lines().map(|line| line.trim_start_matches(['#', ' ']).to_owned() + "\n").collect();
    let loaded = file(&format!("[[upstream]]{uncommented}"));
    assert!(loaded.mistakes.is_empty(), "{:?}", loaded.mistakes);
    assert_eq!(loaded.settings.upstreams[0].servers.len(), 3);
}

#[test]
fn the_stronger_layer_wins_and_is_remembered() {
    let text = "[gateway]\nport = 1000";
    let nested = ("PLIMSOLL__GATEWAY__PORT", "2000");
    let twin = ("PLIMSOLL_PORT", "3000");
    let outcome = |loaded: Result<Loaded, Vec<String>>| {
        let loaded = loaded.unwrap();
        (loaded.settings.gateway.port, loaded.origins.get("gateway.port").map(Place::to_string))
    };
    let from = |port, origin: &str| (port, Some(origin.to_owned()));
    assert_eq!(outcome(read("", [], [])), (8080, None));
    assert_eq!(outcome(read(text, [], [])), from(1000, "test.toml:2"));
    assert_eq!(outcome(read(text, [nested], [])), from(2000, "PLIMSOLL__GATEWAY__PORT"));
    assert_eq!(outcome(read(text, [nested, twin], [])), from(3000, "PLIMSOLL_PORT"));
    assert_eq!(outcome(read(text, [nested, twin], [("port", "4000")])), from(4000, "--port"));
    assert_eq!(outcome(read("", [], [("port", "4000")])), from(4000, "--port"));
    assert_eq!(outcome(read(text, [twin], [])), from(3000, "PLIMSOLL_PORT"));
}

#[test]
fn each_layer_is_checked_even_where_a_stronger_one_wins() {
    let mistakes = read("[gateway]\nport = \"x\"", [("PLIMSOLL__GATEWAY__PORT", "99999")], [("port", "4000")]).unwrap_err();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
}

#[test]
fn variables_reach_nested_settings_and_lists() {
    let variables = [
        ("PLIMSOLL__GATEWAY__TIMEOUTS__HEAD", "5s"),
        ("PLIMSOLL__GATEWAY__TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.0/24"),
        ("PLIMSOLL__DATA_DIR", "/var/lib/plimsoll"),
        ("PLIMSOLL_INSTANCE", "api-1"),
        ("PATH", "/bin"),
    ];
    let settings = read("", variables, []).unwrap().settings;
    assert_eq!(settings.gateway.timeouts.head.as_secs(), 5);
    assert_eq!(settings.gateway.trusted_proxies.len(), 2);
    assert_eq!(settings.data_dir.to_str(), Some("/var/lib/plimsoll"));
}

#[test]
fn an_unknown_variable_is_a_mistake() {
    let mistakes = read("", [("PLIMSOLL__GATEWAY__PROT", "1"), ("PLIMSOLL__UPSTREAM__NAME", "x"), ("PLIMSOLL__", "")], []).unwrap_err();
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
}

#[test]
fn a_mistyped_variable_is_a_mistake_but_not_what_an_instance_is_told() {
    let unknown = |name| read("", [(name, "1")], []).unwrap_err();
    for name in ["PLIMSOLL_PROT", "PLIMSOLL_GATEWAY_PORT", "PLIMSOLL_", "PLIMSOLL_INSTANCE_ID", "PLIMSOLL_CONFIGURATION"] {
        assert_eq!(unknown(name), [format!("no setting is called `{name}`")]);
    }
    let told = [("PLIMSOLL_INSTANCE", "api-1"), ("PLIMSOLL_VERSION", "v2"), ("PLIMSOLL_SOCKET", "/run/a"), ("PLIMSOLL_CONFIG", "a.toml")];
    assert!(read("", told, []).is_ok());
    assert!(read("", [("PLIMSOLLS", "1"), ("MY_PLIMSOLL_PROT", "1")], []).is_ok(), "other names are other people's");
}

#[test]
fn an_upstream_that_is_the_gateway_itself_is_a_mistake() {
    let found = |server: &str, settings: &str| {
        findings(&format!("{settings}[[upstream]]\nname = \"a\"\nservers = [\"{server}\"]\n[[route]]\nmatch = \"/*\"\n"))
    };
    let own = |port| format!("http://localhost:{port} is this gateway's own");
    for server in ["http://127.0.0.1:8080", "http://localhost:8080", "http://LOCALHOST:8080", "http://0.0.0.0:8080"] {
        assert!(found(server, "")[0].contains(":8080 is this gateway's own listener"), "{server}");
    }
    assert!(found("http://[::1]:8080", "gateway.bind = \"::\"\n")[0].contains("own listener"));
    assert!(found("http://localhost:9", "gateway.port = 9\n")[0].contains(&own(9)));
    assert!(found("http://localhost:8081", "")[0].contains("is this gateway's own dashboard"));
    for elsewhere in ["http://127.0.0.1:9000", "http://192.0.2.1:8080", "http://api:8080", "unix:/run/a"] {
        assert_eq!(found(elsewhere, ""), [""; 0], "{elsewhere}");
    }
    assert_eq!(found("http://127.0.0.1:8080", "gateway.bind = \"127.0.0.2\"\n"), [""; 0]);
    assert_eq!(found("http://127.0.0.1:8080", "gateway.port = true\n").len(), 1, "nothing is known of the port");
}

#[test]
fn upstreams_and_routes_are_read_whole() {
    let loaded = file(
        r#"
[[upstream]]
name = "origin"
servers = ["http://Localhost:9000", "unix:/run/app.sock", { url = "http://[::1]:9001/", weight = 2 }]
balance = "round_robin"

[[route]]
match = "/api/*"
host = "API.example"
upstream = "origin"

[[route]]
match = "/health"
upstream = "origin"
"#,
    );
    let upstream = &loaded.settings.upstreams[0];
    let tcp = |host: &str, port| ServerAddress::Tcp { scheme: Scheme::Http, host: host.to_owned(), port };
    let addresses: Vec<_> = upstream.servers.iter().map(|server| (server.address.clone(), server.weight)).collect();
    assert_eq!(addresses, [(tcp("localhost", 9000), 1), (ServerAddress::Unix("/run/app.sock".into()), 1), (tcp("::1", 9001), 2)]);
    assert_eq!(upstream.health_path, None);
    let routes: Vec<_> = loaded.settings.routes.iter().map(|route| (route.pattern.as_str(), route.host.as_deref())).collect();
    assert_eq!(routes, [("/api/*", Some("api.example")), ("/health", None)]);
}

#[test]
fn contradictions_are_found() {
    let cases = [
        ("[admin]\nport = 8080", "2: the gateway and the operator's listener cannot share a port"),
        ("[admin]\nbind = \"0.0.0.0\"", "2: the operator's listener would be open"),
        ("[gateway.timeouts]\ntotal = \"1s\"\nconnect = \"2s\"\nfirst_byte = \"1s\"", "2: gateway.timeouts.total is shorter than connect"),
        ("[gateway.timeouts]\ntotal = \"10s\"", "2: gateway.timeouts.total is shorter than first_byte"),
        ("[gateway.timeouts]\nfirst_byte = \"2m\"", "2: gateway.timeouts.total is shorter than first_byte"),
        ("[gateway.timeouts]\nstream_idle = \"10s\"", "2: gateway.timeouts.write_idle is longer than stream_idle"),
        ("[gateway.retry]\nbackoff_base = \"2s\"", "2: gateway.retry.backoff_base is longer than backoff_max"),
        ("[gateway.breaker]\nopen_max = \"500ms\"", "2: gateway.breaker.open_base is longer than open_max"),
        ("[gateway.health]\ntimeout = \"2s\"", "2: gateway.health.timeout is longer than interval"),
        ("[gateway.ejection]\nbase = \"1m\"", "2: gateway.ejection.base is longer than max"),
        ("[gateway.limits]\nhead_bytes_max = \"4KiB\"", "2: gateway.limits.target_bytes_max is larger than head_bytes_max"),
        ("[gateway.retry]\nattempts_max = 1\nreplay_bytes_max = 0", "3: gateway.retry.replay_bytes_max has no effect"),
        ("[gateway]\nbalance = \"consistent_hash\"", "2: consistent_hash on client_ip"),
        ("[gateway]\nhash_on = \"cookie:a\"", "2: gateway.hash_on has no effect"),
        ("[fleet]\nbackoff_initial = \"1m\"", "2: fleet.backoff_initial is longer than backoff_max"),
        ("[state]\nurl = \"memory:\"", "2: memory is not shared"),
    ];
    for (text, words) in cases {
        finds(text, words);
    }
    let key = "0123456789abcdef0123456789abcdef";
    finds(&format!("[service]\nsession_keys = [\"{key}\", \"{key}\"]"), "2: a key stands twice");
}

#[test]
fn what_is_coherent_is_left_alone() {
    let cases = [
        "[admin]\nport = 0\n[gateway]\nport = 0",
        "[admin]\nbind = \"127.0.0.2\"\nport = 8080\n[gateway]\nbind = \"127.0.0.1\"",
        "[admin]\nbind = \"0.0.0.0\"\ntoken = \"0123456789abcdef\"",
        "[admin]\nbind = \"::ffff:127.0.0.1\"",
        "[gateway]\nbalance = \"consistent_hash\"\nhash_on = \"header:x-user\"",
    ];
    for text in cases {
        assert_eq!(findings(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn nothing_is_concluded_from_a_value_that_could_not_be_read() {
    finds("[gateway.timeouts]\ntotal = \"1s\"\nconnect = \"0s\"\nfirst_byte = \"1s\"", "connect: a duration of zero");
    finds("[gateway.timeouts]\ntotal = 1s", "this is not TOML");
}

#[test]
fn routes_and_upstreams_fit_together() {
    let origin = "[[upstream]]\nname = \"origin\"\nservers = [\"http://a\"]\n";
    let route = "[[route]]\nmatch = \"/*\"\nupstream = \"origin\"\n";
    finds(origin, "2: no route leads to upstream `origin`");
    finds(route, "3: no upstream is called `origin`");
    finds(&format!("{origin}{route}{route}"), "8: a second route matches `/*`");
    finds(&format!("{origin}{origin}{route}"), "5: a second upstream is called `origin`");
    finds(&format!("{}{route}", origin.replace("\"http://a\"", "")), "3: an upstream needs at least one server");
    finds(&format!("{}{route}", origin.replace("\"http://a\"", "\"http://a\", \"http://A:80/\"")), "3: http://a:80 stands twice");
    finds(
        &format!("{}{route}", origin.replace("\"http://a\"", "{ url = \"http://a\", weight = 0 }")),
        "3: upstream.servers: 0 is out of range",
    );
    finds(&format!("{}{route}", origin.replace("name", "nmae")), "2: unknown key `nmae` in [[upstream]]");
    let hosts = format!("{origin}{route}{route}host = \"a.example\"\n");
    assert_eq!(findings(&hosts), Vec::<String>::new(), "one path on two hosts is no duplicate");
}

#[test]
fn every_key_of_a_route_is_read_and_shown_as_it_was_written() {
    let lines = [
        "match = \"/users/{id}/{rest...}\"",
        "host = \"*.example.com\"",
        "methods = [\"GET\", \"POST\"]",
        "headers = [\"X-Beta\", \"X-Version: 2\"]",
        "query = [\"debug\", \"page=1\"]",
        "upstream = \"a\"",
        "rewrite_path = \"/v2/{id}\"",
        "set_host = \"app.internal\"",
        "mirror_upstream = \"b\"",
        "mirror_share = 0.5",
        "mirror_in_flight_max = 8",
        "mirror_body_bytes_max = \"1KiB\"",
        "request_headers_remove = [\"cookie\"]",
        "request_headers_set = { x-env = \"prod\" }",
        "request_headers_add = { x-tag = \"a\" }",
        "response_headers_remove = [\"server\"]",
        "response_headers_set = { x-frame-options = \"DENY\" }",
        "response_headers_add = { vary = \"origin\" }",
        "total_timeout = \"5s\"",
        "first_byte_timeout = \"2s\"",
        "body_bytes_max = \"1MiB\"",
    ];
    let loaded = file(&format!("{UPSTREAMS}[[route]]\n{}\n", lines.join("\n")));
    assert!(loaded.mistakes.is_empty(), "{:?}", loaded.mistakes);
    let route = &loaded.settings.routes[0];
    let shown: Vec<_> =
        Route::TABLE.fields.iter().map(|field| (field.name(), (field.show)(route))).filter(|(_, shown)| !shown.is_empty()).collect();
    assert_eq!(shown.iter().map(|(name, shown)| format!("{name} = {shown}")).collect::<Vec<_>>(), lines);
}

const UPSTREAMS: &str = "[[upstream]]\nname = \"a\"\nservers = [\"http://a\"]\n[[upstream]]\nname = \"b\"\nservers = [\"http://b\"]\n";

#[test]
fn what_a_route_cannot_do_is_found_with_its_place() {
    let found = |keys: &str| {
        findings(&format!("{UPSTREAMS}[[route]]\nmatch = \"/a/{{id}}/*\"\n{keys}\n[[route]]\nmatch = \"/b\"\nupstream = \"b\""))
    };
    let forwards = |keys: &str| found(&format!("upstream = \"a\"\n{keys}"));
    for fine in
        ["strip_prefix = \"on\"", "replace_prefix = \"/v2\"", "rewrite_path = \"/{id}\"", "mirror_upstream = \"b\"\nmirror_share = 0.1"]
    {
        assert_eq!(forwards(fine), [""; 0], "{fine}");
    }
    assert_eq!(forwards("total_timeout = \"5s\"\nfirst_byte_timeout = \"2s\""), [""; 0]);
    let cases = [
        ("strip_prefix = \"on\"\nrewrite_path = \"/x\"", "11: a route cannot have both strip_prefix and rewrite_path"),
        ("rewrite_path = \"/{name}\"", "10: nothing here is called `{name}`"),
        ("rewrite_path = \"x\"", "10: `x` is no path from the root"),
        ("replace_prefix = \"/a/../b\"", "10: `/a/../b` can never be sent"),
        ("set_host = \"a b\"", "10: `a b` is not a host"),
        ("redirect = \"/x\"", "9: upstream has no effect: this route has"),
        ("respond_body = \"x\"", "10: respond_body has no effect without respond"),
        ("mirror_share = 0.5", "10: mirror_share has no effect without mirror_upstream"),
        ("mirror_upstream = \"b\"\nmirror_share = 0.0", "11: the share of mirrored requests"),
        ("mirror_upstream = \"a\"", "10: a route cannot be mirrored to its own upstream"),
        ("mirror_upstream = \"c\"", "10: no upstream is called `c`"),
        ("request_headers_set = { Connection = \"close\" }", "10: route.request_headers_set: `connection` belongs to this connection"),
        ("request_headers_remove = [\"X-Forwarded-For\"]", "10: route.request_headers_remove: `x-forwarded-for` says who asked"),
        ("response_headers_set = { Content-Length = \"1\" }", "10: route.response_headers_set: `content-length` says how long"),
        ("response_headers_set = { X-A = \"a\\nb\" }", "10: route.response_headers_set: a header's value is one line"),
        ("total_timeout = \"1s\"", "10: total_timeout is shorter than gateway.timeouts.connect"),
        ("first_byte_timeout = \"5m\"", "10: this route's total time is shorter than its time to the first byte"),
        ("methods = [\"get\"]", "10: route.methods: `get` is not the method `GET`"),
        ("methods = [\"TRACE\"]", "10: route.methods: TRACE is never forwarded"),
        ("headers = [\"a b\"]", "10: route.headers: `a b` is not a header field"),
        ("headers = [\"Host: a\"]", "10: route.headers: the host has a key of its own"),
        ("query = [\"a&b\"]", "10: route.query: `a&b` is not a parameter"),
    ];
    for (keys, words) in cases {
        let found = forwards(keys);
        assert!(found.len() == 1 && found[0].contains(words), "{keys}: {found:?}");
    }
    let cases = [
        ("redirect = \"//evil.example\"", "9: `//evil.example` leads nowhere"),
        ("redirect = \"https://{id}.example/\"", "9: `{id}` could name any host"),
        ("redirect = \"/x\"\nredirect_status = 305", "10: 305 is no redirect"),
        ("redirect = \"/x\"\nrespond = 200", "10: a route cannot have both redirect and respond"),
        ("respond = 204\nrespond_body = \"x\"", "9: an answer with status 204 has no body"),
        ("respond = 200\nrespond_file = \"no/such/file\"", "10: cannot read the answer no/such/file"),
    ];
    for (keys, words) in cases {
        let found = found(keys);
        assert!(found.iter().any(|finding| finding.contains(words)), "{keys}: {found:?}");
    }
}

#[test]
fn a_route_that_would_get_no_request_is_found_with_the_one_that_takes_them() {
    let found = |first: &str, second: &str| {
        let route = |keys: &str| format!("[[route]]\nmatch = \"/x/{{id}}\"\nrespond = 200\n{keys}\n");
        findings(&format!("{}{}", route(first), route(second).replace("{id}", "{name}")))
    };
    assert_eq!(found("methods = [\"GET\"]", "methods = [\"POST\"]"), [""; 0]);
    assert_eq!(found("", "methods = [\"POST\"]"), [""; 0], "more conditions go first");
    assert_eq!(found("host = \"a\"", "host = \"*.a\""), [""; 0]);
    for (first, second) in
        [("", ""), ("methods = [\"GET\", \"POST\"]", "methods = [\"POST\"]"), ("headers = [\"A\"]", "headers = [\"a: 1\"]")]
    {
        let found = found(first, second);
        assert!(
            found.len() == 1 && found[0].starts_with("6: a second route matches `/x/{name}`: no request would ever reach it"),
            "{found:?}"
        );
    }
}

#[test]
fn a_route_has_one_fallback_that_is_a_whole_answer_or_another_upstream() {
    let found = |fallback: &str| findings(&format!("{UPSTREAMS}[[route]]\nmatch = \"/*\"\nupstream = \"a\"\n{fallback}"));
    assert_eq!(found("fallback_upstream = \"b\""), [""; 0], "an upstream that is only fallen back to is used too");
    let cases = [
        ("fallback_upstream = \"a\"", "cannot fall back to its own upstream"),
        ("fallback_upstream = \"c\"", "no upstream is called `c`"),
        ("fallback_body = \"[]\"\nfallback_file = \"x\"", "exclude each other"),
        ("fallback_body = \"\"\nfallback_status = 302", "a fallback is a whole answer"),
        ("fallback_file = \"no/such/page.html\"", "cannot read the fallback no/such/page.html"),
        ("fallback_body = \"\"\nfallback_type = \"text\\nhtml\"", "a content type is one line"),
    ];
    for (fallback, message) in cases {
        let found = found(fallback);
        assert!(found.iter().any(|finding| finding.contains(message)), "{fallback}: {found:?}");
    }
}

#[test]
fn every_setting_that_a_refusal_names_exists() {
    for reason in plimsoll_policy::Reason::ALL {
        let Some(setting) = reason.setting() else { continue };
        let known = fields().map(|field| field.path).chain(Route::TABLE.fields.iter().map(|field| field.path));
        assert!(known.into_iter().any(|path| path == setting), "{setting}");
    }
}

#[test]
fn definitions_are_told_apart_by_every_name_they_have() {
    let mut names: Vec<_> =
        fields().flat_map(|field| [Some(field.variable()), field.flag_variable(), Some(field.path.to_owned())]).flatten().collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(fields().all(|field| !field.doc().join("").is_empty()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Fragments of real files in any order, cut anywhere.
    #[test]
    fn no_file_makes_the_reader_panic(parts in prop::collection::vec(0..12_usize, 0..12), cut in 0..200_usize) {
        const PARTS: [&str; 12] = [
            "[gateway]\n", "port = 8080\n", "[[upstream]]\n", "name = \"é\"\n", "servers = [{ url = \"http://a\", weight = 2 }]\n", "[admin\n",
            "token = \"hunter2hunter2\n", "x = [1, 2\n", "gateway.port = 3\n", "\"\"\"", "[[route]]\nmatch = \"/*\"\n", "upstream = { name = 1 }\n",
        ];
        let text: String = parts.iter().map(|part| PARTS[*part]).collect();
        let text = &text[..text.floor_char_boundary(cut)];
        let mut draft = Draft::default();
        file::read("test.toml", text, &mut draft);
        coherence::check(&mut draft);
        for mistake in &draft.mistakes {
            let shown = mistake.to_string();
            prop_assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}

#[test]
fn settings_of_tls_fit_together() {
    let tls = |lines: &str| format!("[gateway.tls]\n{lines}\n");
    let on = |lines: &str| tls(&format!("certificates = ['/a.pem']\n{lines}"));
    for nothing in ["port = 9443", "redirect = 'off'", "hsts = '1h'", "client_ca = '/ca.pem'", "version_min = '1.3'"] {
        finds(&tls(nothing), "has no effect: there is no certificate");
        assert_eq!(findings(&on(nothing)), [""; 0], "{nothing}");
    }
    finds(&on("client_auth = 'optional'"), "client_auth has no effect");
    finds(&on("client_ca = '/ca.pem'\nredirect = 'off'"), "the plain port would serve everybody");
    assert_eq!(findings(&on("client_ca = '/ca.pem'\nclient_auth = 'optional'\nredirect = 'off'")), [""; 0]);
    finds(&tls("development = ['localhost']\nhsts = '1h'"), "with a development certificate");
    finds(&on("port = 8080"), "cannot speak TLS and plain HTTP on one port");
    finds(&tls("certificates = [{ chain = '/a.pem', key = '/a' }, { chain = '/a.pem', key = '/b' }]"), "/a.pem stands twice");
    finds(
        &format!("{}[admin]\nport = 8443\nbind = '0.0.0.0'\ntoken = '0123456789abcdef'\n", on("")),
        "the operator's listener cannot be the same",
    );
    finds(&tls("certificates = [{ chain = '/a.pem' }]"), "the file of the key is missing");
    finds(&tls("certificates = [{ chain = '/a.pem', kay = '/b' }]"), "unknown key `kay`");
}

#[test]
fn settings_of_acme_fit_together() {
    const TERMS: &str = "agree_to_terms = 'on'\n";
    let acme = |lines: &str| format!("[gateway.tls.acme]\n{lines}\n");
    let on = |lines: &str| acme(&format!("directory = 'https://ca.example/dir'\n{lines}"));
    let whole = |lines: &str| on(&format!("names = ['a.example']\n{TERMS}{lines}"));
    assert_eq!(findings(&whole("")), [""; 0]);
    assert_eq!(findings(&format!("{}[gateway.tls]\nport = 443\n", whole(""))), [""; 0], "TLS is on");
    finds(&acme("names = ['a.example']"), "names has no effect");
    finds(&on("names = ['a.example']"), "agree to its terms");
    finds(&on(TERMS), "no name to get a certificate for");
    finds(&on(&format!("{TERMS}names = ['a.example', 'A.example.']")), "a.example stands twice");
    let many: Vec<_> = (0..101).map(|number| format!("'{number}.example'")).collect();
    finds(&on(&format!("{TERMS}names = [{}]", many.join(", "))), "101 names are too many");
    finds(&whole("external_account = 'ada'"), "without its key");
    finds(&whole("external_account_key = '0123456789abcdef'"), "without its key");
    finds(&whole("external_account = 'ada'\nexternal_account_key = '0123456789ab+/ef'"), "is not in base64url");
    assert_eq!(findings(&whole("external_account = 'ada'\nexternal_account_key = '0123456789abcdef'")), [""; 0]);
    let with_clients = |challenge: &str, auth: &str| {
        let clients = format!("[gateway.tls]\nclient_ca = '/ca.pem'\nclient_auth = '{auth}'\n");
        format!("{clients}{}", whole(&format!("challenge = '{challenge}'")))
    };
    finds(&with_clients("tls-alpn-01", "required"), "its check would be turned away");
    assert_eq!(findings(&with_clients("tls-alpn-01", "optional")), [""; 0]);
    assert_eq!(findings(&with_clients("http-01", "required")), [""; 0]);
}

#[test]
fn certificates_may_be_written_as_tables_of_their_own() {
    let list = file("[gateway.tls]\ncertificates = [{ chain = '/a.pem', key = '/a.key' }, '/b.pem']\n");
    let tables = file(
        "[[gateway.tls.certificates]]\nchain = '/a.pem'\nkey = '/a.key'\n[[gateway.tls.certificates]]\nchain = '/b.pem'\nkey = '/b.pem'\n",
    );
    assert_eq!(list.settings, tables.settings);
    assert_eq!(list.settings.gateway.tls.certificates.len(), 2);
}
