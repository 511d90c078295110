use proptest::prelude::*;

use super::*;

fn routes(list: &[(Option<&str>, &str)]) -> Routes {
    let route = |(upstream, (host, pattern)): (usize, &(Option<&str>, &str))| Route::new(*host, pattern, upstream).unwrap();
    Routes::new(list.iter().enumerate().map(route).collect()).unwrap()
}

#[track_caller]
fn check(routes: &Routes, host: &str, path: &str, expected: Option<&str>) {
    let found = routes.find(Some(host.as_bytes()), path.as_bytes()).map(Route::name);
    assert_eq!(found.as_deref(), expected, "{host} {path}");
}

#[test]
fn the_most_specific_route_wins_wherever_it_was_declared() {
    let list = [
        (None, "/*"),
        (None, "/api/*"),
        (None, "/api/users"),
        (None, "/api/users/*"),
        (Some("shop.example"), "/api/*"),
        (Some("Shop.Example"), "/checkout"),
    ];
    let reversed: Vec<_> = list.iter().rev().copied().collect();
    for list in [&list[..], &reversed] {
        let routes = routes(list);
        check(&routes, "a", "/", Some("/*"));
        check(&routes, "a", "", Some("/*"));
        check(&routes, "a", "/api", Some("/api/*"));
        check(&routes, "a", "/api/", Some("/api/*"));
        check(&routes, "a", "/api/x/y", Some("/api/*"));
        check(&routes, "a", "/apix", Some("/*"));
        check(&routes, "a", "/api/users", Some("/api/users"));
        check(&routes, "a", "/api/users/", Some("/api/users/*"));
        check(&routes, "a", "/api/users/7", Some("/api/users/*"));
        check(&routes, "shop.example", "/api/users", Some("shop.example/api/*"));
        check(&routes, "SHOP.example:8080", "/checkout", Some("shop.example/checkout"));
        check(&routes, "shop.example.", "/checkout", Some("shop.example/checkout"));
        check(&routes, "shop.example", "/about", Some("/*"));
    }
}

#[test]
fn what_no_route_names_is_not_found() {
    let routes = routes(&[(None, "/api/*"), (Some("[::1]"), "/*")]);
    check(&routes, "a", "/", None);
    check(&routes, "a", "*", None);
    check(&routes, "[::1]:8080", "/x", Some("[::1]/*"));
    check(&routes, &"a".repeat(10_000), "/api", Some("/api/*"));
    check(&routes, "", "/api", Some("/api/*"));
    assert!(routes.find(None, b"/api").is_some());
    assert!(Routes::default().find(Some(b"a"), b"/").is_none());
}

#[test]
fn a_guarded_path_cannot_be_reached_through_another_route() {
    let routes = routes(&[(None, "/*"), (None, "/admin/*"), (None, "/public/*")]);
    // Everybody reads these as /admin.
    for path in ["/admin", "/admin/", "/%61dmin/x", "/%41dmin/../%61dmin"] {
        let found = routes.find(None, path.as_bytes());
        assert!(found.is_none_or(|route| route.upstream == 1), "{path} went to {found:?}");
    }
    check(&routes, "a", "/%61dmin/x", Some("/admin/*"));
    // Some servers do and some do not.
    let bypasses = [
        "/x/../admin/",
        "/admin/../public/x",
        "/public/../admin",
        "//admin",
        "/./admin",
        "/public//../admin",
        "/public%2F..%2Fadmin",
        "/public/..%2fadmin",
        "/%2e%2e/admin",
        "/x/%2E%2e/admin",
        "/public\\..\\admin",
        "/public%5c..%5Cadmin",
        "/admin;x=1/y",
        "/admin%2Fx",
        "/public/..;/admin",
        "/public/../admin//../public/x",
        "/x/..//admin//..",
    ];
    for path in bypasses {
        check(&routes, "a", path, None);
    }
}

#[test]
fn odd_paths_that_mean_one_route_to_everybody_find_it() {
    let routes = routes(&[(None, "/*"), (None, "/projects/*"), (None, "/caf\u{e9}")]);
    check(&routes, "a", "/projects/group%2Fname", Some("/projects/*"));
    check(&routes, "a", "/projects/a;v=1/b", Some("/projects/*"));
    check(&routes, "a", "/projects//b", Some("/projects/*"));
    check(&routes, "a", "/projects/a/../b", Some("/projects/*"));
    check(&routes, "a", "/x//y", Some("/*"));
    check(&routes, "a", "/.well-known/acme", Some("/*"));
    check(&routes, "a", "/100%", Some("/*"));
    check(&routes, "a", "/caf%c3%a9", Some("/caf\u{e9}"));
}

#[test]
fn a_gateway_with_one_route_for_all_refuses_no_path() {
    let routes = routes(&[(None, "/*"), (Some("b"), "/*")]);
    for path in ["/", "//", "/x/..//%2f..;a/\\", "/%"] {
        check(&routes, "a", path, Some("/*"));
        check(&routes, "b", path, Some("b/*"));
    }
}

#[test]
fn a_wrong_route_is_refused_with_what_to_write() {
    let cases = [
        (None, "api", "a route's path begins with `/`: write `/api`"),
        (None, "/api*", "`*` stands only at the end, after a `/`: `/api*` has it elsewhere"),
        (None, "/*/x", "`*` stands only at the end, after a `/`: `/*/x` has it elsewhere"),
        (None, "/a?b=1", "a route's path has no query or fragment: remove what follows `/a`"),
        (None, "/a/../b", "`/a/../b` would never match: write `/b`"),
        (None, "/a//*", "`/a//*` would never match: write `/a/*`"),
        (None, "//*", "`//*` would never match: write `/*`"),
        (None, "/a;b/*", "`/a;b/*` would never match: write `/a/*`"),
        (None, "/a%2fb", "`/a%2fb` would never match: write `/a/b`"),
        (Some("a:80"), "/", "`a:80` is not the name of a host: write it without scheme, port, path or `*`"),
        (Some("*.a"), "/", "`*.a` is not the name of a host: write it without scheme, port, path or `*`"),
        (Some(""), "/", "`` is not the name of a host: write it without scheme, port, path or `*`"),
    ];
    for (host, pattern, expected) in cases {
        assert_eq!(Route::new(host, pattern, 0).unwrap_err().to_string(), expected);
    }
}

#[test]
fn two_routes_for_the_same_requests_are_refused() {
    let route = |host, pattern| Route::new(host, pattern, 0).unwrap();
    let error = Routes::new(vec![route(Some("a"), "/x/*"), route(None, "/x/*"), route(Some("A."), "/%78/*")]).unwrap_err();
    assert_eq!(error.to_string(), "two routes match `a/%78/*`: remove one");
    assert!(Routes::new(vec![route(None, "/x"), route(None, "/x/*"), route(None, "/x/")]).is_ok());
}

/// What the documentation says, word by word, over all routes.
fn oracle<'a>(routes: &'a [Route], host: &str, path: &str) -> Option<&'a Route> {
    let rank = |route: &Route| {
        let host_rank = match &route.host {
            Some(name) if **name == *host => 1,
            Some(_) => return None,
            None => 0,
        };
        match route.pattern.strip_suffix("/*") {
            None => (*route.pattern == *path).then_some((host_rank, 1, 0)),
            Some(prefix) => {
                let below = path.strip_prefix(prefix)?;
                (below.is_empty() || below.starts_with('/')).then_some((host_rank, 0, prefix.len()))
            }
        }
    };
    routes.iter().filter(|route| rank(route).is_some()).max_by_key(|route| rank(route))
}

/// A server that applies its rules in an order of its own, each once: how an instance may read what the gateway forwards.
fn server_reads(path: &str, rules: &[u8]) -> String {
    let decoded = path.replace("%61", "a").replace("%2e", ".");
    rules.iter().fold(decoded, |path, rule| match rule {
        0 => path.replace("%2F", "/").replace('\\', "/"),
        1 => path.split('/').map(|segment| segment.split(';').next().unwrap()).collect::<Vec<_>>().join("/"),
        2 => {
            let mut merged = path;
            while merged.contains("//") {
                merged = merged.replace("//", "/");
            }
            merged
        }
        _ => {
            let mut kept: Vec<&str> = Vec::new();
            for segment in path.split('/').skip(1) {
                match segment {
                    "." => {}
                    ".." => drop(kept.pop()),
                    _ => kept.push(segment),
                }
            }
            if path.ends_with("/.") || path.ends_with("/..") {
                kept.push("");
            }
            format!("/{}", kept.join("/"))
        }
    })
}

fn plain_segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "ab", ""])
}

fn odd_segment() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["a", "b", "%61", "", "..", ".", "%2e%2e", "a%2Fb", "%2F", "..%2Fb", "\\a", "a;b", ";", "..;b"])
}

fn pattern() -> impl Strategy<Value = String> {
    (prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..4), 0_usize..3).prop_map(|(segments, end)| {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + segment);
        path + ["/*", "/", ""][if segments.is_empty() { end % 2 } else { end }]
    })
}

fn declared() -> impl Strategy<Value = Vec<(Option<&'static str>, String)>> {
    let host = prop::sample::select(vec![None, Some("one"), Some("two")]);
    prop::collection::hash_set((host, pattern()), 0..30).prop_map(|set| set.into_iter().collect())
}

fn build(declared: &[(Option<&str>, String)]) -> Routes {
    let list: Vec<_> = declared.iter().map(|(host, pattern)| (*host, pattern.as_str())).collect();
    routes(&list)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_tree_finds_what_a_look_at_every_route_finds(
        declared in declared(),
        host in prop::sample::select(vec!["one", "two", "three"]),
        segments in prop::collection::vec(plain_segment(), 1..6),
    ) {
        // Empty segments only at the end: elsewhere they are no ordinary path.
        let last = segments.len() - 1;
        let kept = segments.iter().enumerate().filter(|(index, segment)| *index == last || !segment.is_empty());
        let path = kept.fold(String::new(), |path, (_, segment)| path + "/" + segment);
        let routes = build(&declared);
        let found = routes.find(Some(host.as_bytes()), path.as_bytes()).map(Route::name);
        prop_assert_eq!(found, oracle(&routes.list, host, &path).map(Route::name), "{}", path);
    }

    #[test]
    fn no_server_reads_a_routed_path_as_another_routes(
        declared in declared(),
        segments in prop::collection::vec(odd_segment(), 1..7),
        rules in Just(vec![0_u8, 1, 2, 3]).prop_shuffle(),
        taken in 0_usize..=4,
    ) {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + segment);
        let routes = build(&declared);
        if let Some(found) = routes.find(Some(b"one"), path.as_bytes()) {
            let read = server_reads(&path, &rules[..taken]);
            let meant = oracle(&routes.list, "one", &read).map(Route::name);
            prop_assert_eq!(Some(found.name()), meant, "{} is read as {}", path, read);
        }
    }
}
