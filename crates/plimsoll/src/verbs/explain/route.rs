//! `plimsoll explain [METHOD] URL`: which route would take a request, what would become of it, and why the others would not.

use std::fmt::Write;

use http::{Method, Uri};
use plimsoll_gateway::route::{Explanation, Question, Requirement, Routes, Unmet, Verdict, Why};
use serde_json::{Value, json};

use crate::config::{self, Loaded, Settings};
use crate::edge::{self, Written};
use crate::report::Failure;

/// What the fleet is called that `up` and `run` start.
const FLEET: &str = "the instances of this fleet";

/// The request in what was asked for, if it is one: a path or a URL, perhaps after a method.
pub fn question(words: &[String], headers: &[String]) -> Result<Option<Question>, Failure> {
    let (method, url) = match words {
        [method, url] => (method.as_str(), url.as_str()),
        // Pasted with its quotes.
        [both] if both.trim().contains(' ') => both.trim().split_once(' ').unwrap_or_default(),
        [url] if url.contains('/') => ("GET", url.as_str()),
        _ => return Ok(None),
    };
    let method = method_of(method)?;
    let url = url.trim();
    let (host, target) = parts(url)?;
    let headers = headers.iter().map(|header| {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| Failure::asked(format!("`{header}` is not a header field")).hint("write it as \"NAME: VALUE\""))?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok(Some(Question { method, host, target, headers: headers.collect::<Result<_, Failure>>()? }))
}

/// Any method goes, but one that is nearly a known one is a slip.
fn method_of(word: &str) -> Result<Method, Failure> {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"];
    let upper = word.to_ascii_uppercase();
    let meant = config::closest(&upper, KNOWN).filter(|near| *near != upper);
    let refused = |hint: String| Failure::asked(format!("`{word}` is not a method")).hint(hint);
    match (upper.parse(), meant) {
        (Ok(method), None) => Ok(method),
        (_, Some(near)) => Err(refused(format!("did you mean {near}?"))),
        (Err(_), None) => Err(refused("write one such as GET: `plimsoll explain GET /users/7`".to_owned())),
    }
}

/// What a client on this machine would say.
const HOST: &str = "localhost";

/// Host and target of a URL. A path alone is asked of this machine.
fn parts(url: &str) -> Result<(String, String), Failure> {
    if url.starts_with('/') {
        return Ok((HOST.to_owned(), url.to_owned()));
    }
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    let uri: Uri = with_scheme.parse().map_err(|_| {
        Failure::asked(format!("`{url}` is not a URL")).hint("write a path or a URL: `plimsoll explain GET https://shop.example/users/7`")
    })?;
    let host = uri.host().unwrap_or_default().to_owned();
    // As it was written: the parser is of another opinion about some paths.
    let rest = with_scheme.split_once("://").map_or("", |(_, rest)| rest);
    let target = rest.find(['/', '?']).map_or("/", |begin| &rest[begin..]);
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    Ok((host, target.split('#').next().unwrap_or_default().to_owned()))
}

pub fn answer(question: &Question, loaded: &Loaded, as_json: bool) -> Result<String, Failure> {
    let settings = &loaded.settings;
    let (written, upstreams) = known(settings)?;
    let positions: Vec<_> = written.iter().map(|written| written.position).collect();
    let routes = Routes::new(edge::plain(written)).map_err(Failure::failed)?;
    let told = routes.explain(question, &upstreams);
    let name = |position: usize| match positions[position] {
        Some(place) => {
            let route = &settings.routes[place];
            let host = route.host.as_deref().unwrap_or_default();
            (format!("{host}{}", route.pattern), loaded.route_places[place].to_string())
        }
        None => ("/*".to_owned(), "it goes without saying".to_owned()),
    };
    Ok(if as_json { format!("{:#}\n", to_json(&told, name)) } else { text(question, &told, name) })
}

/// What `gateway` would be given, or where the file names no upstream, what `up` and `run` would.
fn known(settings: &Settings) -> Result<(Vec<Written>, Vec<String>), Failure> {
    if settings.upstreams.is_empty() {
        return Ok((edge::written_for_fleet(settings)?, vec![FLEET.to_owned()]));
    }
    let names = settings.upstreams.iter().map(|upstream| upstream.name.clone());
    Ok((edge::written(settings)?, names.collect()))
}

fn text(question: &Question, told: &Explanation, name: impl Fn(usize) -> (String, String)) -> String {
    let mut text = format!("{} {}{}\n", question.method, question.host, question.target);
    let mut line = |label: &str, what: &str| writeln!(text, "{label:<8}{what}").expect("a string takes it");
    if let Some((position, _)) = told.candidates.iter().find(|(_, verdict)| *verdict == Verdict::Taken) {
        let (route, place) = name(*position);
        line("route", &format!("{route:<40}# {place}"));
    }
    for (name, value) in &told.parts {
        line("with", &format!("{name} = {value}"));
    }
    line("so", &told.outcome);
    for (position, verdict) in told.candidates.iter().filter(|(_, verdict)| *verdict != Verdict::Taken) {
        let (route, place) = name(*position);
        line("not", &format!("{route:<40}# {place}: {}", reason(verdict)));
    }
    text
}

fn to_json(told: &Explanation, name: impl Fn(usize) -> (String, String)) -> Value {
    let candidate = |(position, verdict): &(usize, Verdict)| {
        let (route, place) = name(*position);
        json!({ "route": route, "place": place, "taken": *verdict == Verdict::Taken, "why": reason(verdict) })
    };
    json!({
        "outcome": told.outcome,
        "parts": told.parts.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect::<serde_json::Map<_, _>>(),
        "candidates": told.candidates.iter().map(candidate).collect::<Vec<_>>(),
    })
}

fn reason(verdict: &Verdict) -> String {
    let wanted = |what: &str, Requirement { name, value }: &Requirement, equals: &str| match value {
        Some(value) => format!("it wants the {what} `{name}{equals}{value}`"),
        None => format!("it wants the {what} `{name}`"),
    };
    match verdict {
        Verdict::Taken => "it is the most specific one whose conditions all hold".to_owned(),
        Verdict::Unmet(Unmet::Method) => "it wants another method".to_owned(),
        Verdict::Unmet(Unmet::Header(header)) => wanted("header field", header, ": "),
        Verdict::Unmet(Unmet::Parameter(parameter)) => wanted("query parameter", parameter, "="),
        Verdict::After(Why::Host) => "its host is less specific".to_owned(),
        Verdict::After(Why::Path) => "its path is less specific".to_owned(),
        Verdict::After(Why::Conditions) => "it has fewer conditions".to_owned(),
        Verdict::After(Why::Declared) => "it stands later".to_owned(),
        Verdict::Ambiguous => "some servers would read the path as another route's".to_owned(),
    }
}
