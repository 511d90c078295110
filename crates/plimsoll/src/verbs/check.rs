//! `plimsoll check`: every mistake in the configuration, at once, and which verbs would start with it.

use anyhow::Context;
use serde_json::json;

use crate::cli::{CheckArgs, StartingVerb};
use crate::config::{self, Environment, Loaded, Mistake, Settings, Severity};
use crate::discovery;
use crate::edge;
use crate::edge::tls;
use crate::report::Failure;
use crate::verbs::{counted, gateway, shown};

pub fn run(args: &CheckArgs, environment: &Environment) -> Result<(), Failure> {
    let mut loaded = config::examine(&args.settings.0, environment);
    let found = names(&loaded)?;
    loaded.mistakes.extend(found);
    let found = tls::examine(&loaded);
    loaded.mistakes.extend(found);
    loaded.mistakes.sort_by_key(Mistake::order);
    let is_readable = !loaded.mistakes.iter().any(Mistake::is_error);
    // What cannot be read whole would be refused for reasons that are no reasons.
    let refusals = if is_readable { refusals(&loaded.settings) } else { Vec::new() };
    loaded.mistakes.extend(fatal(args.verb, &refusals));
    let errors = loaded.mistakes.iter().filter(|mistake| mistake.is_error()).count();
    if args.json {
        let starts = |verb: &StartingVerb| is_readable && refusals.iter().all(|(refuses, _)| refuses != verb);
        let verbs: Vec<_> = StartingVerb::ALL.iter().filter(|verb| starts(verb)).map(|verb| verb.as_str()).collect();
        let mistakes: Vec<_> = loaded.mistakes.iter().map(Mistake::to_json).collect();
        println!("{:#}", json!({ "ok": errors == 0, "verbs": verbs, "mistakes": mistakes }));
    } else if !loaded.mistakes.is_empty() {
        println!("{}", shown(&loaded.mistakes));
    }
    if errors > 0 {
        return Err(Failure::asked(format!("the configuration has {}", counted(errors, "mistake"))));
    }
    if !args.json {
        println!("{}", summary(&loaded));
        if args.verb.is_none() && !(loaded.settings.routes.is_empty() && loaded.settings.upstreams.is_empty()) {
            for (verb, failure) in &refusals {
                println!("not for `plimsoll {}`: {}", verb.as_str(), failure.message());
            }
        }
    }
    Ok(())
}

/// What verbs that start something would say to settings that hold together.
fn refusals(settings: &Settings) -> Vec<(StartingVerb, Failure)> {
    let refusal = |verb: &StartingVerb| {
        let refused = match verb {
            StartingVerb::Gateway => gateway::check(settings).and_then(|()| edge::routes(settings)),
            StartingVerb::Run | StartingVerb::Up => edge::fleet_routes(settings),
        };
        refused.err().map(|failure| (*verb, failure))
    };
    StartingVerb::ALL.iter().filter_map(refusal).collect()
}

/// A refusal by the verb that was named, or by all.
fn fatal(named: Option<StartingVerb>, refusals: &[(StartingVerb, Failure)]) -> Option<Mistake> {
    let is_fatal = |verb| named.map_or(refusals.len() == StartingVerb::ALL.len(), |named| named == verb);
    let (verb, failure) = refusals.iter().find(|(verb, _)| is_fatal(*verb))?;
    let message = format!("`plimsoll {}` would refuse this: {}", verb.as_str(), failure.message());
    Some(Mistake { severity: Severity::Error, message, place: None, hint: failure.advice().map(str::to_owned) })
}

/// The names of servers that stand for nothing just now. That is no mistake: they may come later.
fn names(loaded: &Loaded) -> Result<Vec<Mistake>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
    let found = runtime.block_on(discovery::unresolved(&loaded.settings));
    let warning = |found: discovery::Unresolved| {
        let message = format!("{} does not resolve: {}", found.server, found.trouble);
        let hint = "the gateway starts all the same, asks again and again, and answers 503 until somebody is there";
        Mistake::warning(message, loaded.upstream_places.get(found.upstream).cloned(), hint)
    };
    Ok(found.into_iter().map(warning).collect())
}

fn summary(loaded: &Loaded) -> String {
    let what = match &loaded.file {
        Some(file) => file.display().to_string(),
        None => format!("no {} here, the defaults hold", config::FILE_NAME),
    };
    let mut parts = vec![counted(loaded.origins.len(), "setting")];
    parts.push(counted(loaded.settings.upstreams.len(), "upstream"));
    parts.push(counted(loaded.settings.routes.len(), "route"));
    if !loaded.mistakes.is_empty() {
        parts.push(counted(loaded.mistakes.len(), "warning"));
    }
    format!("ok: {what} ({})", parts.join(", "))
}
