//! `plimsoll.toml` and `docs/configuration.md`, written from the definitions so that they cannot differ from the code.

use std::fmt::Write;

use super::route::Route;
use super::settings::{Settings, TABLES};
use super::table::{Field, Table};
use super::upstream::Upstream;

const TOML_INTRO: &str = "\
# Plimsoll's settings. No file is needed: every line below that begins with `#` and a key shows its default.
# Take the `#` away to change one, then run `plimsoll check`. `plimsoll explain` says which values are in force and why.
#
# Durations are \"250ms\", \"10s\", \"5m\", \"1h\", \"1d\"; sizes are bytes or \"64KiB\", \"10MiB\", \"2GiB\".
# Relative paths start at the working directory.
# Stronger than this file: PLIMSOLL__SECTION__KEY in the environment (PLIMSOLL__GATEWAY__TIMEOUTS__HEAD=5s), and flags.
";

const TOML_EXAMPLE: &str = r#"
# Servers that `plimsoll gateway` forwards to. `up` and `run` start their own and need none of this.
#
# [[upstream]]
# name = "origin"
# servers = ["http://127.0.0.1:9000", "unix:/run/app.sock", { url = "https://api.internal", weight = 2 }]
# balance = "least_connections"
# health_path = "/health"
#
# [[route]]
# match = "/*"
# host = "api.example.com"
# upstream = "origin"
"#;

/// A file with every setting at its default, commented out and explained.
pub fn as_toml() -> String {
    let defaults = Settings::default();
    let mut file = TOML_INTRO.to_owned();
    for table in TABLES {
        file.push('\n');
        if !table.path.is_empty() {
            comment(&mut file, &table.about());
            writeln!(file, "[{}]", table.path).expect("a string takes it");
        }
        for field in table.fields {
            comment(&mut file, &field.doc());
            writeln!(file, "#{} = {}", field.name(), (field.print)(&defaults)).expect("a string takes it");
        }
    }
    file.push_str(TOML_EXAMPLE);
    file
}

/// Comments are wrapped here, so that definitions need not care.
const COMMENT_WIDTH: usize = 100;

fn comment(file: &mut String, lines: &[&str]) {
    let mut width = 0;
    for word in lines.iter().flat_map(|line| line.split(' ')) {
        let fits = width > 0 && width + 1 + word.len() <= COMMENT_WIDTH;
        let before = match (fits, width) {
            (true, _) => " ",
            (false, 0) => "# ",
            (false, _) => "\n# ",
        };
        width = if fits { width } else { 1 } + 1 + word.len();
        write!(file, "{before}{word}").expect("a string takes it");
    }
    file.push('\n');
}

const MARKDOWN_INTRO: &str = r#"# Configuration

<!-- Written by `plimsoll explain --reference markdown`; a test keeps it equal to the code. -->

No file is needed. Where something has to change, there are five layers; the strongest that says something wins:

1. a flag: `--port 9000`
2. the flag's variable: `PLIMSOLL_PORT=9000`
3. the setting's variable: `PLIMSOLL__GATEWAY__PORT=9000`, `PLIMSOLL__GATEWAY__TIMEOUTS__HEAD=5s`; lists are separated by commas
4. the file: `--config FILE`, else `PLIMSOLL_CONFIG`, else `plimsoll.toml` in the working directory
5. the default

A key or variable that no setting has, a value out of bounds and settings that contradict each other are errors: nothing starts.
`plimsoll check` shows all of them at once with line and column. `plimsoll explain` shows every value in force and where it was set;
`plimsoll explain KEY` tells about one. `plimsoll explain --reference toml` prints a file with all defaults, commented out.

Durations are a whole number and a unit: `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"1d"`. Sizes are a number of bytes or a number and a
binary unit: `65536`, `"64KiB"`, `"10MiB"`, `"2GiB"`. Relative paths start at the working directory, not at the file. Secrets are never printed.
"#;

/// The same for reading.
pub fn as_markdown() -> String {
    let defaults = Settings::default();
    let mut page = MARKDOWN_INTRO.to_owned();
    for table in TABLES {
        let title = if table.path.is_empty() { "At the top".to_owned() } else { format!("`[{}]`", table.path) };
        section(&mut page, &title, table, |field| {
            let mut ways = vec![format!("default `{}`", (field.print)(&defaults))];
            ways.push((field.accepts)());
            ways.extend(field.flag.map(|flag| format!("`--{flag}`")));
            ways.extend(field.flag_variable().map(|name| format!("`{name}`")));
            ways.push(format!("`{}`", field.variable()));
            ways.extend(field.restart.then(|| "read once, at the start".to_owned()));
            ways
        });
    }
    let need = |optional| vec![if optional { "optional" } else { "required" }.to_owned()];
    section(&mut page, "`[[upstream]]`", &Upstream::TABLE, |field| [need(field.optional), vec![(field.accepts)()]].concat());
    section(&mut page, "`[[route]]`", &Route::TABLE, |field| [need(field.optional), vec![(field.accepts)()]].concat());
    page
}

fn section<T>(page: &mut String, title: &str, table: &Table<T>, about: impl Fn(&Field<T>) -> Vec<String>) {
    write!(page, "\n## {title}\n\n{}\n", table.about().join("\n")).expect("a string takes it");
    for field in table.fields {
        write!(page, "\n### `{}`\n\n{}\n\n{}\n", field.path, field.doc().join("\n"), about(field).join(" · ")).expect("a string takes it");
    }
}
