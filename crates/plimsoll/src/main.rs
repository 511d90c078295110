//! The one binary: reads the command line and hands over to a verb.
#![allow(unreachable_pub, reason = "a binary exports nothing: `pub` means visible to the other modules")]

mod acme;
mod banner;
mod cli;
mod config;
mod data_dir;
mod discovery;
mod edge;
mod fleet;
mod ground;
mod handover;
mod listening;
mod logs;
mod open_files;
mod operator;
mod reload;
mod report;
mod running;
mod signals;
mod start;
mod systemd;
mod verbs;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Started through the kernel's link to itself, it would be called `exe` in `ps` and `top`. Without the name it works as well.
    let _ = rustix::thread::set_name(c"plimsoll");
    if let Some(code) = plimsoll_supervisor::hidden_verb(std::env::args_os()) {
        return code;
    }
    let cli = cli::Cli::parse();
    let environment = config::Environment::of_process();
    match verbs::dispatch(cli, &environment) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            handover::tell_predecessor(&environment, &failure);
            verbs::report(&failure)
        }
    }
}
