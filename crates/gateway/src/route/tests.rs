use std::cmp::Reverse;

use http::Method;
use proptest::prelude::*;

use super::*;
use crate::message::Request;

fn question(method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> Question {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Question { method: method.parse().unwrap(), host: host.to_owned(), target: target.to_owned(), headers }
}

/// A request that nobody has sent.
pub(crate) fn request(method: &str, host: &str, target: &str, headers: &[(&str, &str)]) -> Request {
    question(method, host, target, headers).request()
}

fn find<'a>(routes: &'a Routes, host: &str, target: &str) -> Option<&'a Route> {
    routes.find(&Asked::by(&request("GET", host, target, &[])))
}

fn routes(list: &[(Option<&str>, &str)]) -> Routes {
    let route = |(upstream, (host, pattern)): (usize, &(Option<&str>, &str))| Route::new(*host, pattern, upstream).unwrap();
    Routes::new(list.iter().enumerate().map(route).collect()).unwrap()
}

#[track_caller]
fn check(routes: &Routes, host: &str, path: &str, expected: Option<&str>) {
    let found = find(routes, host, path).map(Route::name);
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
    assert!(find(&Routes::default(), "a", "/").is_none());
}

#[test]
fn a_guarded_path_cannot_be_reached_through_another_route() {
    let routes = routes(&[(None, "/*"), (None, "/admin/*"), (None, "/public/*")]);
    // Everybody reads these as /admin.
    for path in ["/admin", "/admin/", "/%61dmin/x", "/%41dmin/../%61dmin"] {
        let found = find(&routes, "a", path).map(Route::name);
        assert!(found.as_deref().is_none_or(|route| route == "/admin/*"), "{path} went to {found:?}");
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
        (None, "/a/{id}/../b", "`/a/{id}/../b` would never match: write `/a/b`"),
        (None, "/a/{id}.json", "a name stands for a whole segment: write `/{name}/` instead of `{id}.json`"),
        (None, "/a/{id", "a name stands for a whole segment: write `/{name}/` instead of `{id`"),
        (None, "/{rest...}/b", "`{rest...}` takes everything below, so nothing can follow it: write it last"),
        (None, "/{}", "`{}` is no name: write letters, digits and `_`, not beginning with a digit, 64 at most"),
        (None, "/{2nd}", "`{2nd}` is no name: write letters, digits and `_`, not beginning with a digit, 64 at most"),
        (None, "/{host}", "`{host}` has a meaning of its own in redirects: choose another name"),
        (None, "/{a}/{a...}", "two parts of one path are called `{a}`: rename one"),
        (Some("a:80"), "/", "`a:80` is not the name of a host: write it without scheme, port or path, or `*.` and a name"),
        (Some("*a"), "/", "`*a` is not the name of a host: write it without scheme, port or path, or `*.` and a name"),
        (Some("*.*.a"), "/", "`*.*.a` is not the name of a host: write it without scheme, port or path, or `*.` and a name"),
        (Some(""), "/", "`` is not the name of a host: write it without scheme, port or path, or `*.` and a name"),
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

#[test]
fn named_segments_take_one_segment_and_tails_the_rest() {
    let routes =
        routes(&[(None, "/users/{id}/orders"), (None, "/users/me/orders"), (None, "/users/{id}/{rest...}"), (None, "/files/{rest...}")]);
    check(&routes, "a", "/users/7/orders", Some("/users/{id}/orders"));
    check(&routes, "a", "/users/me/orders", Some("/users/me/orders"));
    check(&routes, "a", "/users/me/cart", Some("/users/{id}/{rest...}"));
    check(&routes, "a", "/users/7", Some("/users/{id}/{rest...}"));
    check(&routes, "a", "/users/7/orders/3", Some("/users/{id}/{rest...}"));
    check(&routes, "a", "/users/caf%C3%A9/orders", Some("/users/{id}/orders"));
    check(&routes, "a", "/users/", None);
    check(&routes, "a", "/users//orders", None);
    check(&routes, "a", "/files", Some("/files/{rest...}"));
    check(&routes, "a", "/files/a/b", Some("/files/{rest...}"));
    // Some servers take it for a user called a, with something else below.
    check(&routes, "a", "/users/a%2Fb/orders", None);
    check(&routes, "a", "/users/a;v=1/orders", Some("/users/{id}/orders"));
}

#[test]
fn a_search_that_went_too_deep_comes_back() {
    let routes = routes(&[(None, "/a/{x}/c"), (None, "/{x}/b/d"), (None, "/a/*"), (None, "/{x}/{y}/{z}"), (None, "/{x}/{y}/e")]);
    check(&routes, "h", "/a/b/c", Some("/a/{x}/c"));
    check(&routes, "h", "/a/b/d", Some("/a/*"));
    check(&routes, "h", "/q/b/d", Some("/{x}/b/d"));
    check(&routes, "h", "/q/r/e", Some("/{x}/{y}/e"));
    check(&routes, "h", "/q/r/s", Some("/{x}/{y}/{z}"));
    check(&routes, "h", "/q/r/s/t", None);
}

#[test]
fn a_host_goes_before_everything_below_it_and_that_before_any_host() {
    let routes = routes(&[
        (None, "/*"),
        (Some("*.example.com"), "/*"),
        (Some("*.eu.example.com"), "/*"),
        (Some("shop.example.com"), "/cart"),
        (Some("*.example.com"), "/admin/*"),
    ]);
    check(&routes, "shop.example.com", "/cart", Some("shop.example.com/cart"));
    check(&routes, "shop.example.com", "/x", Some("*.example.com/*"));
    check(&routes, "SHOP.Example.com:8443", "/admin", Some("*.example.com/admin/*"));
    check(&routes, "a.b.example.com", "/x", Some("*.example.com/*"));
    check(&routes, "a.eu.example.com", "/x", Some("*.eu.example.com/*"));
    check(&routes, "a.eu.example.com", "/admin/x", Some("*.eu.example.com/*"));
    check(&routes, "eu.example.com", "/x", Some("*.example.com/*"));
    check(&routes, "example.com", "/x", Some("/*"));
    check(&routes, ".example.com", "/x", Some("/*"));
    check(&routes, "notexample.com", "/x", Some("/*"));
    check(&routes, &format!("{}example.com", "a.".repeat(100)), "/x", Some("*.example.com/*"));
}

fn requirement(name: &str, value: Option<&str>) -> Requirement {
    Requirement { name: name.to_owned(), value: value.map(str::to_owned) }
}

/// One route for each condition on `/x`, numbered as declared.
fn conditional(list: Vec<Conditions>) -> Result<Routes, Error> {
    let route = |(number, conditions)| {
        let on = Match::new(None, "/x").unwrap().on(conditions);
        Route::of(on, Action::Forward(Forward::to(number)))
    };
    Routes::new(list.into_iter().enumerate().map(route).collect())
}

fn upstream(route: &Route) -> usize {
    let Action::Forward(forward) = &route.action else { panic!("{route:?}") };
    forward.upstream
}

#[test]
fn more_conditions_go_first_and_then_who_was_declared_first() {
    let (method, header, query) = (vec![Method::POST], vec![requirement("x-beta", None)], vec![requirement("v", Some("2"))]);
    let routes = conditional(vec![
        Conditions::default(),
        Conditions::new(method.clone(), Vec::new(), Vec::new()),
        Conditions::new(Vec::new(), header.clone(), Vec::new()),
        Conditions::new(method, header, query),
    ])
    .unwrap();
    let find = |method: &str, target: &str, headers: &[(&str, &str)]| {
        routes.find(&Asked::by(&request(method, "a", target, headers))).map(upstream)
    };
    assert_eq!(find("GET", "/x", &[]), Some(0));
    assert_eq!(find("POST", "/x", &[]), Some(1));
    assert_eq!(find("GET", "/x", &[("X-Beta", "1")]), Some(2));
    assert_eq!(find("POST", "/x", &[("X-Beta", "1")]), Some(1), "as many conditions: the first");
    assert_eq!(find("POST", "/x?v=2", &[("X-Beta", "1")]), Some(3));
    assert_eq!(find("GET", "/y", &[]), None);
}

#[test]
fn a_route_whose_conditions_fail_leaves_the_request_to_a_less_specific_one() {
    let only_post = Match::new(None, "/a/b").unwrap().on(Conditions::new(vec![Method::POST], Vec::new(), Vec::new()));
    let list = vec![Route::of(only_post, Action::Forward(Forward::to(0))), Route::new(None, "/a/*", 1).unwrap()];
    let routes = Routes::new(list).unwrap();
    let find = |method: &str| routes.find(&Asked::by(&request(method, "a", "/a/b", &[]))).map(upstream);
    assert_eq!((find("POST"), find("GET")), (Some(0), Some(1)));
}

#[test]
fn a_route_that_would_get_no_request_is_a_mistake() {
    let with = |methods: &[Method], header: Option<Option<&str>>| {
        let headers = header.map(|value| requirement("x-a", value)).into_iter().collect();
        Conditions::new(methods.to_vec(), headers, Vec::new())
    };
    let (get, post, both) = ([Method::GET], [Method::POST], [Method::GET, Method::POST]);
    let mistakes = [
        vec![with(&[], None), with(&[], None)],
        vec![with(&both, None), with(&[Method::POST, Method::GET], None)],
        vec![with(&both, None), with(&post, None)],
        vec![with(&get, None), with(&[Method::HEAD], None)],
        vec![with(&[], Some(None)), with(&[], Some(Some("1")))],
    ];
    for list in mistakes {
        assert_eq!(conditional(list.clone()).unwrap_err().to_string(), "two routes match `/x`: remove one", "{list:?}");
    }
    let fine = [
        vec![with(&[], None), with(&get, None)],
        vec![with(&post, None), with(&both, None)],
        vec![with(&[], Some(Some("1"))), with(&[], Some(None))],
        vec![with(&get, None), with(&[], Some(None))],
    ];
    for list in fine {
        assert!(conditional(list.clone()).is_ok(), "{list:?}");
    }
}

#[test]
fn names_make_no_difference_between_patterns() {
    let route = |pattern| Route::new(None, pattern, 0).unwrap();
    assert!(Routes::new(vec![route("/u/{id}"), route("/u/{name}")]).is_err());
    assert!(Routes::new(vec![route("/u/*"), route("/u/{rest...}")]).is_err());
    assert!(Routes::new(vec![route("/u/{id}"), route("/u/{id}/"), route("/u/{id}/*"), route("/u/id")]).is_ok());
}

#[test]
fn the_methods_that_would_do_are_known_when_only_the_method_is_wrong() {
    let on = |pattern: &str, methods: &[Method]| {
        Match::new(None, pattern).unwrap().on(Conditions::new(methods.to_vec(), Vec::new(), Vec::new()))
    };
    let to = |on| Route::of(on, Action::Forward(Forward::to(0)));
    let list = vec![to(on("/a/b", &[Method::GET])), to(on("/a/*", &[Method::POST, Method::DELETE])), to(on("/{x}/b", &[Method::POST]))];
    let routes = Routes::new(list).unwrap();
    let allowed = |method: &str, target: &str| {
        let request = request(method, "a", target, &[]);
        let asked = Asked::by(&request);
        assert!(routes.find(&asked).is_none(), "{method} {target}");
        routes.allowed(&asked).iter().map(|method| method.as_str()).collect::<Vec<_>>().join(", ")
    };
    assert_eq!(allowed("PUT", "/a/b"), "DELETE, GET, HEAD, POST");
    assert_eq!(allowed("PUT", "/%61/c"), "DELETE, POST");
    assert_eq!(allowed("PUT", "/c"), "");
    assert_eq!(allowed("PUT", "/a/../b"), "");
}

#[test]
fn an_explanation_tells_who_takes_it_and_why_the_others_do_not() {
    let on = |host, pattern, conditions| Match::new(host, pattern).unwrap().on(conditions);
    let to = |on| Route::of(on, Action::Forward(Forward::to(0)));
    let beta = Conditions::new(Vec::new(), vec![requirement("x-beta", None)], Vec::new());
    let routes = Routes::new(vec![
        Route::new(None, "/*", 0).unwrap(),
        to(on(None, "/u/{id}", Conditions::new(vec![Method::POST], Vec::new(), Vec::new()))),
        to(on(None, "/u/{id}", beta.clone())),
        to(on(None, "/u/{name}", Conditions::default())),
    ])
    .unwrap();
    let question = |method: &str, target: &str| question(method, "a", target, &[]);
    let told = routes.explain(&question("GET", "/u/7?x"), &["api".to_owned()]);
    let unmet = |what| Verdict::Unmet(what);
    assert_eq!(
        told.candidates,
        [
            (1, unmet(Unmet::Method)),
            (2, unmet(Unmet::Header(requirement("x-beta", None)))),
            (3, Verdict::Taken),
            (0, Verdict::After(Why::Path)),
        ]
    );
    assert_eq!(told.parts, [("name".to_owned(), "7".to_owned())]);
    assert_eq!(told.outcome, "upstream `api` gets it as /u/7?x");
    let told = routes.explain(&question("GET", "/u/../u/7%2F"), &["api".to_owned()]);
    assert!(told.outcome.starts_with("it is answered 404: servers may read this path"), "{}", told.outcome);
    assert!(told.candidates.iter().all(|(_, verdict)| *verdict != Verdict::Taken));
}

/// What the documentation says, word by word, over all routes.
fn oracle<'a>(routes: &'a [Route], asked: &Asked<'_>, path: &str) -> Option<&'a Route> {
    let host = std::str::from_utf8(asked.host.unwrap()).unwrap();
    let ranks = routes.iter().enumerate().filter_map(|(position, route)| {
        let host = match &route.on.host {
            Host::Any => (0, 0),
            Host::Below(name) => (1, host.strip_suffix(&**name)?.ends_with('.').then_some(name.len())?),
            Host::Name(name) => (2, usize::from((**name == *host).then_some(true)?)),
        };
        let path = path_rank(&route.on.path.to_string(), path)?;
        let conditions = &route.on.conditions;
        conditions.hold(asked).then_some(((host, path, conditions.count(), Reverse(position)), route))
    });
    ranks.max_by_key(|(rank, _)| rank.clone()).map(|(_, route)| route)
}

/// For each segment: written out, named, or everything below; the end of the path before nothing below.
fn path_rank(pattern: &str, path: &str) -> Option<Vec<u8>> {
    let mut rank = Vec::new();
    let mut left = path.split('/').skip(1);
    for wanted in pattern.split('/').skip(1) {
        if wanted == "*" || wanted.ends_with("...}") {
            rank.push(0);
            return Some(rank);
        }
        let segment = left.next()?;
        match wanted.starts_with('{') {
            true if !segment.is_empty() => rank.push(1),
            false if wanted == segment => rank.push(2),
            _ => return None,
        }
    }
    rank.push(3);
    left.next().is_none().then_some(rank)
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
    (prop::collection::vec(prop::sample::select(vec!["a", "b", "ab", "{x}"]), 0..4), 0_usize..4).prop_map(|(segments, end)| {
        let named = |(index, segment): (usize, &&str)| if *segment == "{x}" { format!("/{{x{index}}}") } else { format!("/{segment}") };
        let path: String = segments.iter().enumerate().map(named).collect();
        path + ["/*", "/", "/{rest...}", ""][if segments.is_empty() { end % 3 } else { end }]
    })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let methods = prop::sample::subsequence(vec![Method::GET, Method::POST, Method::HEAD], 0..=2);
    let of =
        |name: &'static str| prop::sample::select(vec![vec![], vec![], vec![requirement(name, None)], vec![requirement(name, Some("1"))]]);
    (methods, of("x-a"), of("q")).prop_map(|(methods, headers, parameters)| Conditions::new(methods, headers, parameters))
}

fn a_match() -> impl Strategy<Value = Match> {
    let host = prop::sample::select(vec![None, Some("one"), Some("two.one"), Some("*.one"), Some("*.two.one")]);
    (host, pattern(), conditions()).prop_map(|(host, pattern, conditions)| Match::new(host, &pattern).unwrap().on(conditions))
}

/// Those of them that are no mistake.
fn build(mut declared: Vec<Match>) -> Routes {
    while let Some(conflict) = conflicts(&declared).first() {
        declared.remove(conflict.second);
    }
    let route = |(number, on)| Route::of(on, Action::Forward(Forward::to(number)));
    Routes::new(declared.into_iter().enumerate().map(route).collect()).unwrap()
}

fn a_question() -> impl Strategy<Value = Question> {
    let host = prop::sample::select(vec!["one", "two.one", "x.two.one", "x.one", "three"]);
    let method = prop::sample::select(vec!["GET", "POST", "HEAD", "PUT"]);
    let query = prop::sample::select(vec!["", "?q", "?q=1", "?r=2&q=%31"]);
    let header = prop::sample::select(vec![None, Some("1"), Some("2")]);
    (host, method, prop::collection::vec(plain_segment(), 1..6), query, header).prop_map(|(host, method, segments, query, header)| {
        // Empty segments only at the end: elsewhere they are no ordinary path.
        let last = segments.len() - 1;
        let kept = segments.iter().enumerate().filter(|(index, segment)| *index == last || !segment.is_empty());
        let path = kept.fold(String::new(), |path, (_, segment)| path + "/" + segment);
        let headers: Vec<_> = header.map(|value| ("X-A", value)).into_iter().collect();
        question(method, host, &(path + query), &headers)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_tree_finds_what_a_look_at_every_route_finds(
        declared in prop::collection::vec(a_match(), 0..40),
        questions in prop::collection::vec(a_question(), 8),
    ) {
        let routes = build(declared);
        for question in &questions {
            let request = question.request();
            let asked = Asked::by(&request);
            let path = std::str::from_utf8(asked.path).unwrap();
            let found = routes.find(&asked).map(upstream);
            let expected = oracle(&routes.list, &asked, path).map(upstream);
            prop_assert_eq!(found, expected, "{} {} {:?}", asked.method, path, asked.host);
        }
    }

    #[test]
    fn no_server_reads_a_routed_path_as_another_routes(
        declared in prop::collection::vec(a_match(), 0..40),
        segments in prop::collection::vec(odd_segment(), 1..7),
        rules in Just(vec![0_u8, 1, 2, 3]).prop_shuffle(),
        taken in 0_usize..=4,
    ) {
        let path = segments.iter().fold(String::new(), |path, segment| path + "/" + segment);
        let routes = build(declared);
        let request = request("GET", "x.one", &path, &[("x-a", "1")]);
        let asked = Asked::by(&request);
        if let Some(found) = routes.find(&asked) {
            let read = server_reads(&path, &rules[..taken]);
            let meant = oracle(&routes.list, &asked, &read).map(Route::name);
            prop_assert_eq!(Some(found.name()), meant, "{} is read as {}", path, read);
        }
    }

    #[test]
    fn an_explanation_is_what_happens(declared in prop::collection::vec(a_match(), 0..20), question in a_question()) {
        let routes = build(declared);
        let request = question.request();
        let asked = Asked::by(&request);
        let taken = routes.verdicts(&asked).into_iter().filter(|(_, verdict)| *verdict == Verdict::Taken).map(|(position, _)| position);
        prop_assert_eq!(taken.collect::<Vec<_>>(), routes.find(&asked).map(upstream).into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_thousand_random_routes_are_found_as_a_look_at_each_finds_them() {
    let mut rng = fastrand::Rng::with_seed(7);
    let words: Vec<String> = (0..12).map(|number| format!("w{number}")).collect();
    let mut declared = Vec::new();
    for _ in 0..1_300 {
        let segment = |index| if rng.u8(..4) == 0 { format!("/{{n{index}}}") } else { format!("/{}", words[rng.usize(..12)]) };
        let path: String = (0..3).map(segment).collect();
        let host = [None, Some("a.example"), Some("*.example"), Some("*.b.example")][rng.usize(..4)];
        let methods = if rng.bool() { vec![] } else { vec![[Method::GET, Method::POST, Method::PUT][rng.usize(..3)].clone()] };
        let tail = ["", "/*"][rng.usize(..2)];
        declared.push(Match::new(host, &(path + tail)).unwrap().on(Conditions::new(methods, Vec::new(), Vec::new())));
    }
    let routes = build(declared);
    assert!(routes.list.len() > 1_000, "{}", routes.list.len());
    let mut hits = 0;
    for _ in 0..5_000 {
        let depth = rng.usize(2..5);
        let target = (0..depth).fold(String::new(), |path, _| path + "/" + &words[rng.usize(..12)]);
        let host = ["a.example", "x.b.example", "b.example", "other"][rng.usize(..4)];
        let request = request(["GET", "HEAD", "POST", "DELETE"][rng.usize(..4)], host, &target, &[]);
        let asked = Asked::by(&request);
        let found = routes.find(&asked).map(upstream);
        assert_eq!(found, oracle(&routes.list, &asked, &target).map(upstream), "{} {host} {target}", asked.method);
        hits += usize::from(found.is_some());
    }
    assert!(hits > 1_000, "{hits}");
}
