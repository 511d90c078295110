//! `plimsoll explain`: every value in force, where it was set, and the order in which a request meets the policies.

mod route;

use std::fmt::Write;

use plimsoll_gateway::ORDER;
use serde_json::{Value, json};

use crate::cli::{ExplainArgs, Reference};
use crate::config::{self, Environment, Field, Loaded, Place, Route, Settings, TABLES, Upstream, fields};
use crate::report::Failure;
use crate::verbs::mistaken;

/// Where the second column begins, unless a value is longer.
const ORIGIN_COLUMN: usize = 48;

pub fn run(args: &ExplainArgs, environment: &Environment) -> Result<(), Failure> {
    match args.reference {
        Some(Reference::Toml) => print!("{}", config::as_toml()),
        Some(Reference::Markdown) => print!("{}", config::as_markdown()),
        None => {
            let loaded = config::load(&args.settings.0, environment).map_err(mistaken)?;
            match (route::question(&args.what, &args.header)?, args.what.first()) {
                (Some(question), _) => print!("{}", route::answer(&question, &loaded, args.json)?),
                (None, Some(key)) => one(key, &loaded, args.json)?,
                (None, None) if args.json => println!("{:#}", everything_as_json(&loaded)),
                (None, None) => print!("{}", everything(&loaded)),
            }
        }
    }
    Ok(())
}

fn everything(loaded: &Loaded) -> String {
    let mut text = match &loaded.file {
        Some(file) => format!("# {}, environment, flags\n", file.display()),
        None => format!("# no {} here: environment, flags, defaults\n", config::FILE_NAME),
    };
    for table in TABLES {
        text.push('\n');
        if !table.path.is_empty() {
            writeln!(text, "[{}]", table.path).expect("a string takes it");
        }
        for field in table.fields {
            text.push_str(&line(&format!("{} = {}", field.name(), (field.show)(&loaded.settings)), &origin(field.path, loaded)));
        }
    }
    for (upstream, place) in loaded.settings.upstreams.iter().zip(&loaded.upstream_places) {
        text.push_str(&entry(Upstream::TABLE.path, Upstream::TABLE.fields, upstream, place));
    }
    for (route, place) in loaded.settings.routes.iter().zip(&loaded.route_places) {
        text.push_str(&entry(Route::TABLE.path, Route::TABLE.fields, route, place));
    }
    text.push_str("\n# what happens to a request, in order\n");
    for (number, (name, why)) in (1..).zip(ORDER) {
        writeln!(text, "{number:2}. {name:<16}{why}").expect("a string takes it");
    }
    text
}

fn entry<T>(path: &str, fields: &[Field<T>], value: &T, place: &Place) -> String {
    let mut text = format!("\n{}", line(&format!("[[{path}]]"), &place.to_string()));
    for (name, shown) in written(fields, value) {
        writeln!(text, "{name} = {shown}").expect("a string takes it");
    }
    text
}

/// The keys of an entry that have a value.
fn written<T>(fields: &[Field<T>], value: &T) -> Vec<(&'static str, String)> {
    fields.iter().map(|field| (field.name(), (field.show)(value))).filter(|(_, shown)| !shown.is_empty()).collect()
}

fn line(left: &str, right: &str) -> String {
    format!("{left:<ORIGIN_COLUMN$} # {right}\n")
}

fn origin(path: &str, loaded: &Loaded) -> String {
    loaded.origins.get(path).map_or_else(|| "default".to_owned(), Place::to_string)
}

fn everything_as_json(loaded: &Loaded) -> Value {
    json!({
        "file": loaded.file,
        "settings": fields().map(|field| setting_as_json(field, loaded)).collect::<Vec<_>>(),
        "upstreams": entries_as_json(Upstream::TABLE.fields, &loaded.settings.upstreams, &loaded.upstream_places),
        "routes": entries_as_json(Route::TABLE.fields, &loaded.settings.routes, &loaded.route_places),
        "policy_order": ORDER.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect::<Vec<_>>(),
    })
}

fn setting_as_json(field: &Field<Settings>, loaded: &Loaded) -> Value {
    let origin = loaded.origins.get(field.path).map_or_else(|| json!({ "kind": "default" }), Place::to_json);
    json!({
        "key": field.path,
        "value": (field.show)(&loaded.settings),
        "default": (field.show)(&Settings::default()),
        "origin": origin,
    })
}

fn entries_as_json<T>(fields: &[Field<T>], values: &[T], places: &[Place]) -> Vec<Value> {
    let entry = |(value, place): (&T, &Place)| {
        let mut json: serde_json::Map<_, _> =
            written(fields, value).into_iter().map(|(name, shown)| (name.to_owned(), shown.into())).collect();
        json.insert("origin".to_owned(), place.to_json());
        Value::Object(json)
    };
    values.iter().zip(places).map(entry).collect()
}

/// One setting with its documentation, or the settings of one table.
fn one(key: &str, loaded: &Loaded, as_json: bool) -> Result<(), Failure> {
    let inside = |field: &&Field<Settings>| field.path == key || field.path.strip_prefix(key).is_some_and(|rest| rest.starts_with('.'));
    let found: Vec<_> = fields().filter(inside).collect();
    if as_json && !found.is_empty() {
        println!("{:#}", found.iter().map(|field| setting_as_json(field, loaded)).collect::<Value>());
        return Ok(());
    }
    let mut texts: Vec<_> = found.iter().map(|field| setting(field, loaded)).collect();
    texts.extend(entry_fields(&Upstream::TABLE, key));
    texts.extend(entry_fields(&Route::TABLE, key));
    if texts.is_empty() {
        return Err(unknown(key));
    }
    print!("{}", texts.join("\n"));
    Ok(())
}

fn setting(field: &Field<Settings>, loaded: &Loaded) -> String {
    let shown = (field.show)(&loaded.settings);
    let mut ways = vec![field.variable()];
    ways.extend(field.flag_variable());
    ways.extend(field.flag.map(|flag| format!("--{flag}")));
    format!(
        "{}{}\n  accepts  {}\n  default  {}\n  set by   {}\n",
        line(&format!("{} = {shown}", field.path), &origin(field.path, loaded)),
        indented(&field.doc()),
        (field.accepts)(),
        (field.show)(&Settings::default()),
        ways.join(", "),
    )
}

fn entry_fields<T>(table: &config::Table<T>, key: &str) -> Vec<String> {
    let of_key = table.fields.iter().filter(|field| key == table.path || key == field.path);
    let need = |field: &Field<T>| if field.optional { "optional" } else { "required" };
    of_key.map(|field| format!("{}\n{}\n  accepts  {}, {}\n", field.path, indented(&field.doc()), (field.accepts)(), need(field))).collect()
}

fn indented(doc: &[&str]) -> String {
    doc.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

fn unknown(key: &str) -> Failure {
    let entries = Upstream::TABLE.fields.iter().map(|field| field.path).chain(Route::TABLE.fields.iter().map(|field| field.path));
    let known: Vec<_> = TABLES.iter().map(|table| table.path).chain(fields().map(|field| field.path)).chain(entries).collect();
    // Somebody who leaves out the beginning gets every setting that ends so.
    let ending: Vec<_> = known.iter().copied().filter(|path| path.strip_suffix(key).is_some_and(|rest| rest.ends_with('.'))).collect();
    let meant = if ending.is_empty() { config::closest(key, known).into_iter().collect() } else { ending };
    Failure::asked(format!("no setting is called `{key}`")).hint(match meant[..] {
        [] => "`plimsoll explain` without a key lists all of them".to_owned(),
        _ => format!("did you mean {}?", meant.iter().map(|path| format!("`plimsoll explain {path}`")).collect::<Vec<_>>().join(" or ")),
    })
}
