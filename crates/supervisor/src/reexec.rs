//! The hidden verbs of our own binary: `__exec` becomes an instance, `__guard` watches over the fleet's end.
//!
//! A parent-death signal can only be asked for by the child itself, between fork and exec, which is `unsafe` in Rust. So a child is first
//! our own binary, which asks for the signal and then becomes the command.
//!
//! The binary is named [`SELF_EXE`], not by its path: what is found there may have been replaced since, by an upgrade or a build, and a
//! fleet must not be restarted piece by piece into another version, or not at all. The kernel's link leads to what runs, even if no
//! directory has it any more; a child that was just forked, and one that is still our binary, each find it under `self`.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::{Resource, Rlimit, Signal};

use crate::guard;

pub(crate) const GUARD: &str = "__guard";
/// What opens the gate of a new instance.
pub(crate) const GO: &[u8] = b"+";
const EXEC: &str = "__exec";
/// Our own binary, whatever happens to its file: for [`crate::Spec::self_exe`], and for a command that is to be our own binary too.
pub const SELF_EXE: &str = "/proc/self/exe";
/// In place of a number: leave the limit as it is.
const KEEP: &str = "keep";

/// As shells have it.
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_NOT_EXECUTABLE: u8 = 126;

/// Must be the first thing in `main` of [`crate::Spec::self_exe`], before any thread: runs a hidden verb if the arguments name one.
/// `None` means that the arguments are not for us.
pub fn hidden_verb(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter();
    let own_name = arguments.next()?;
    let verb = arguments.next()?;
    let failure = if verb == GUARD {
        let Err(error) = guard::run() else { return Some(ExitCode::SUCCESS) };
        Failure { what: "guard".to_owned(), error, code: 1 }
    } else if verb == EXEC {
        exec(&own_name, &arguments.collect::<Vec<_>>())
    } else {
        return None;
    };
    // Stderr is the instance's own, so this line is in its last lines. Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "plimsoll: {}: {}", failure.what, failure.error);
    Some(ExitCode::from(failure.code))
}

/// What [`exec`] is called with.
pub(crate) fn exec_arguments(parent: u32, open_files: Option<u64>, command: &[OsString]) -> Vec<OsString> {
    let open_files = open_files.map_or_else(|| KEEP.to_owned(), |limit| limit.to_string());
    let head = [EXEC, "--parent", &parent.to_string(), "--open-files", &open_files, "--"].map(OsString::from);
    head.into_iter().chain(command.iter().cloned()).collect()
}

struct Failure {
    what: String,
    error: io::Error,
    code: u8,
}

/// Becomes the command; returns only if that fails.
fn exec(own_name: &OsStr, arguments: &[OsString]) -> Failure {
    let Some((parent, open_files, program, rest)) = understood(arguments) else {
        let error = io::Error::other("needs --parent PID --open-files NUMBER -- COMMAND");
        return Failure { what: EXEC.to_owned(), error, code: 2 };
    };
    if let Err(error) = wait_for_go(parent).and_then(|()| open_files.map_or(Ok(()), limit_open_files)) {
        return Failure { what: EXEC.to_owned(), error, code: 1 };
    }
    let mut command = Command::new(program);
    if program == SELF_EXE {
        // What people look for in a list of processes.
        command.arg0(own_name);
    }
    let error = command.args(rest).stdin(Stdio::null()).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    Failure { what: format!("cannot run `{}`", program.to_string_lossy()), error, code }
}

/// The parent, the soft limit of open files if it is to change, the program and its arguments.
fn understood(arguments: &[OsString]) -> Option<(i32, Option<u64>, &OsString, &[OsString])> {
    let [parent_flag, parent, limit_flag, limit, separator, program, rest @ ..] = arguments else { return None };
    if parent_flag != "--parent" || limit_flag != "--open-files" || separator != "--" {
        return None;
    }
    let limit = if limit == KEEP { None } else { Some(limit.to_str()?.parse().ok()?) };
    Some((parent.to_str()?.parse().ok()?, limit, program, rest))
}

/// Programs that use `select` break on file numbers above 1023, so a fleet that raised its own limit does not pass that on.
fn limit_open_files(soft: u64) -> io::Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    Ok(rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(soft), maximum })?)
}

/// Binds our life to the parent's, then waits until the parent says that the guard knows us.
fn wait_for_go(parent: i32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A parent that died before the line above sends no signal, but somebody else is our parent now.
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get()) != Some(parent) {
        return Err(io::Error::other("the supervisor is gone"));
    }
    let mut go = [0; GO.len()];
    io::stdin().read_exact(&mut go)
}
