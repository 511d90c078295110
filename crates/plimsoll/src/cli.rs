//! The command line: verbs, flags and the words that explain them.
//!
//! Flags that set a setting are made from its definition, so their help, default and parser cannot differ from the file's.
#![allow(clippy::doc_markdown, reason = "doc comments are the text of --help, where backticks are noise")]

mod flags;
mod load;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

pub use flags::SettingFlags;
pub use load::{CompareArgs, LoadArgs, LoadVerb, MeasureArgs};

#[derive(Debug, Parser)]
#[command(
    name = "plimsoll",
    version,
    about = "Puts any HTTP API behind an edge that never drops a request",
    after_help = "Examples:
  plimsoll                                      the demo: edge, three instances, dashboard
  plimsoll run -- uvicorn app:app               the same for your own server
  plimsoll run --instances 4 -- node server.js
  plimsoll gateway --config plimsoll.toml       only the edge, in front of servers you run
  plimsoll load URL --find-limit                how much a server can take
  plimsoll status                               how the fleet is doing
  plimsoll reload                               put a changed file in force

Without a verb it is `up`. Each flag has a variable: --admin-port is PLIMSOLL_ADMIN_PORT.",
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub up: UpArgs,
}

#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Start the demo: edge, instances of the reference API, dashboard
    #[command(after_help = "Examples:
  plimsoll up
  plimsoll up --instances 5 --port 9000

Nothing to set up: state is kept in SQLite under the data directory. Stop with Ctrl-C: requests in flight finish first.")]
    Up(UpArgs),
    /// Start your own server behind the edge, several times
    #[command(
        override_usage = "plimsoll run [OPTIONS] -- COMMAND...",
        after_help = "Examples:
  plimsoll run -- uvicorn app:app
  plimsoll run --instances 4 --ready-path /health -- node server.js
  plimsoll run -- ./server --listen 127.0.0.1:{port}
  plimsoll run -- gunicorn app:app --bind unix:{socket}

Each instance gets a port of its own in PORT, and wherever {port} stands; {socket} stands for a Unix socket instead.
uvicorn, gunicorn, granian and flask need neither. PLIMSOLL_INSTANCE is the instance's name."
    )]
    Run(RunArgs),
    /// Start the edge alone, in front of servers you run
    #[command(after_help = "Examples:
  plimsoll gateway
  plimsoll gateway --config edge.toml --port 80

The servers are in plimsoll.toml:
  [[upstream]]
  name = \"origin\"
  servers = [\"http://127.0.0.1:9000\", \"unix:/run/app.sock\"]

  [[route]]
  match = \"/*\"
  upstream = \"origin\"")]
    Gateway(GatewayArgs),
    /// Serve one instance of the reference API
    #[command(after_help = "Example:
  PORT=9000 plimsoll serve

Configured by its environment alone, as an instance is: PORT, PLIMSOLL_INSTANCE, PLIMSOLL__STATE__URL, PLIMSOLL__SERVICE__SESSION_KEYS.")]
    Serve,
    /// Measure how much load a server can take
    #[command(
        override_usage = "plimsoll load [OPTIONS] URL\n       plimsoll load compare [OPTIONS] BEFORE AFTER",
        after_help = "Examples:
  plimsoll load http://localhost:8080/feed --rate 200 --duration 1m
  plimsoll load http://localhost:8080/feed --steps 100,200,400 --html load.html
  plimsoll load http://localhost:8080/feed --rate 100 --slo 'p99<200ms,errors<1%'
  plimsoll load http://localhost:8080/feed --find-limit
  plimsoll load http://localhost:8080/feed --with-and-without --svg limit.svg

Exit codes: 0 done, 1 it did not work, 2 asked wrongly, 3 the promise was missed."
    )]
    Load(Box<LoadArgs>),
    /// Show how the running fleet is doing
    #[command(after_help = "Examples:
  plimsoll status
  plimsoll status --json --data-dir /var/lib/plimsoll")]
    Status(RunningArgs),
    /// Put what was written into the file in force, without a restart
    #[command(after_help = "Examples:
  plimsoll reload
  plimsoll reload --data-dir /var/lib/plimsoll

Exit code 0: every request that begins now follows the new settings. 1: it did not work. 2: the file has mistakes, all of which
are shown. After 1 and 2 everything is as it was. What takes a restart is named.")]
    Reload(RunningArgs),
    /// Let the binary, as its file is now, take over from the one that runs
    #[command(after_help = "Examples:
  plimsoll upgrade
  plimsoll upgrade --data-dir /var/lib/plimsoll

The new process gets the sockets of the old one and serves once it is ready; the old one then finishes what it has, for at most
gateway.timeouts.drain. Exit code 0: the new one serves. 1: it could not, and everything is as it was.")]
    Upgrade(RunningArgs),
    /// Find every mistake in the configuration
    #[command(after_help = "Examples:
  plimsoll check
  plimsoll check gateway --config edge.toml --json

Exit code 0 means that a start would accept it: by the verb that is named, or else by one of them.
2 means that it has mistakes, all of which are shown.")]
    Check(CheckArgs),
    /// Show every value in force and where it was set, or which route takes a request
    #[command(after_help = "Examples:
  plimsoll explain
  plimsoll explain gateway.timeouts.head
  plimsoll explain gateway.timeouts --json
  plimsoll explain --port 9000
  plimsoll explain POST https://shop.example/users/7/orders -H 'X-Beta: 1'
  plimsoll explain --reference toml > plimsoll.toml")]
    Explain(ExplainArgs),
}

#[derive(Debug, clap::Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
}

#[derive(Debug, clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Path that answers 2xx when an instance can take traffic; without it a TCP connect is enough
    #[arg(long, value_name = "PATH")]
    pub ready_path: Option<String>,
    /// What instances are called: NAME-1, NAME-2 and so on
    #[arg(long, value_name = "NAME", default_value = "api")]
    pub name: String,
    /// The command that starts one instance, with its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub settings: SettingFlags,
}

/// Which fleet is meant.
#[derive(Debug, clap::Args)]
pub struct RunningArgs {
    /// Directory the fleet was started with [default: .plimsoll] [env: PLIMSOLL_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
    /// File the fleet was started with [default: plimsoll.toml, if there] [env: PLIMSOLL_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The verb that will be started with it; what it alone would refuse is a mistake, too
    #[arg(value_name = "VERB")]
    pub verb: Option<StartingVerb>,
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What starts an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StartingVerb {
    Gateway,
    Run,
    Up,
}

impl StartingVerb {
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Run, Self::Up];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Run => "run",
            Self::Up => "up",
        }
    }
}

#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// A setting or a table, such as gateway.timeouts.head, or a request, such as GET /users/7; without it, everything
    #[arg(value_names = ["KEY | [METHOD] URL"], num_args = 0..=2)]
    pub what: Vec<String>,
    /// Header field of the request that is asked about; may be repeated
    #[arg(short = 'H', long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    #[command(flatten)]
    pub settings: SettingFlags,
    /// Print JSON
    #[arg(long, conflicts_with = "reference")]
    pub json: bool,
    /// Print every setting with its default and documentation instead
    #[arg(long, value_name = "FORMAT", conflicts_with = "what")]
    pub reference: Option<Reference>,
}

/// A `plimsoll.toml` with every default commented out, or a page to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reference {
    Toml,
    Markdown,
}
