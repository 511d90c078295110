//! The hidden verbs of our own binary: `__exec` becomes an instance, `__guard` watches over the fleet's end.
//!
//! A parent-death signal can only be asked for by the child itself, between fork and exec, which is `unsafe` in Rust. So a child is first
//! our own binary, which asks for the signal and then becomes the command.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::process::Signal;

use crate::guard;

pub(crate) const GUARD: &str = "__guard";
/// What opens the gate of a new instance.
pub(crate) const GO: &[u8] = b"+";
const EXEC: &str = "__exec";

/// As shells have it.
const EXIT_NOT_FOUND: u8 = 127;
const EXIT_NOT_EXECUTABLE: u8 = 126;

/// Must be the first thing in `main` of [`crate::Spec::self_exe`], before any thread: runs a hidden verb if the arguments name one.
/// `None` means that the arguments are not for us.
pub fn hidden_verb(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    let verb = arguments.next()?;
    let failure = if verb == GUARD {
        let Err(error) = guard::run() else { return Some(ExitCode::SUCCESS) };
        Failure { what: "guard".to_owned(), error, code: 1 }
    } else if verb == EXEC {
        exec(&arguments.collect::<Vec<_>>())
    } else {
        return None;
    };
    // Stderr is the instance's own, so this line is in its last lines. Without stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "plimsoll: {}: {}", failure.what, failure.error);
    Some(ExitCode::from(failure.code))
}

/// What [`exec`] is called with.
pub(crate) fn exec_arguments(parent: u32, command: &[OsString]) -> Vec<OsString> {
    let head = [EXEC, "--parent", &parent.to_string(), "--"].map(OsString::from);
    head.into_iter().chain(command.iter().cloned()).collect()
}

struct Failure {
    what: String,
    error: io::Error,
    code: u8,
}

/// Becomes the command; returns only if that fails.
fn exec(arguments: &[OsString]) -> Failure {
    let misused = |problem: &str| Failure { what: EXEC.to_owned(), error: io::Error::other(problem), code: 2 };
    let [flag, parent, separator, program, rest @ ..] = arguments else { return misused("needs --parent PID -- COMMAND") };
    let parent = parent.to_str().and_then(|pid| pid.parse::<i32>().ok());
    let (true, Some(parent)) = (flag == "--parent" && separator == "--", parent) else { return misused("needs --parent PID -- COMMAND") };
    if let Err(error) = wait_for_go(parent) {
        return Failure { what: EXEC.to_owned(), error, code: 1 };
    }
    let error = Command::new(program).args(rest).stdin(Stdio::null()).exec();
    let code = if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    Failure { what: format!("cannot run `{}`", program.to_string_lossy()), error, code }
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
