//! `plimsoll check`: every mistake in the configuration, at once.

use anyhow::Context;
use serde_json::json;

use crate::cli::CheckArgs;
use crate::config::{self, Environment, Loaded, Mistake, Mistakes};
use crate::discovery;
use crate::edge::tls;
use crate::report::Failure;
use crate::verbs::{counted, shown};

pub fn run(args: &CheckArgs, environment: &Environment) -> Result<(), Failure> {
    let mut outcome = config::load(&args.settings.0, environment);
    if let Ok(loaded) = &mut outcome {
        let found = names(loaded)?;
        loaded.warnings.extend(found);
        loaded.warnings.extend(tls::examine(loaded));
    }
    let outcome = outcome.and_then(|loaded| {
        let has_errors = loaded.warnings.iter().any(Mistake::is_error);
        if has_errors { Err(Mistakes(loaded.warnings)) } else { Ok(loaded) }
    });
    let found = match &outcome {
        Ok(loaded) => &loaded.warnings,
        Err(Mistakes(mistakes)) => mistakes,
    };
    if args.json {
        let json = json!({ "ok": outcome.is_ok(), "mistakes": found.iter().map(Mistake::to_json).collect::<Vec<_>>() });
        println!("{json:#}");
    } else if !found.is_empty() {
        println!("{}", shown(found));
    }
    match outcome {
        Ok(loaded) => {
            if !args.json {
                println!("{}", summary(&loaded));
            }
            Ok(())
        }
        Err(Mistakes(mistakes)) => {
            let errors = mistakes.iter().filter(|mistake| mistake.is_error()).count();
            Err(Failure::asked(format!("the configuration has {}", counted(errors, "mistake"))))
        }
    }
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
    if !loaded.warnings.is_empty() {
        parts.push(counted(loaded.warnings.len(), "warning"));
    }
    format!("ok: {what} ({})", parts.join(", "))
}
