//! Runs N instances of any HTTP server command, keeps them alive, stops them well, and leaves no orphan.
//!
//! | module | holds |
//! |---|---|
//! | `supervisor` | the handle: start, watch, report readiness, stop |
//! | `fleet` | the loop that owns everything, on a thread of its own |
//! | `plan` | what to do next: a pure function of what is wanted, what is there, and the time |
//! | `slot` | one instance's place in the fleet: its phase, its deaths in a row, its next start |
//! | `launch` | one start made concrete: address, arguments, environment (`environment` has the table of variables) |
//! | `process` | the only place that spawns and kills |
//! | `attendant` | who stays with one process from its start to the end of its group |
//! | `output`, `line` | what the instances print, bounded |
//! | `guard` | the process that kills what a killed fleet leaves behind |
//! | `reexec` | the hidden verbs `__exec` and `__guard` of our own binary |

mod address;
mod attendant;
mod backoff;
mod command;
mod environment;
mod error;
mod event;
mod fleet;
mod guard;
mod hint;
mod instance;
mod launch;
mod line;
mod output;
mod placeholder;
mod plan;
mod process;
mod reexec;
mod slot;
mod spec;
mod status;
mod supervisor;

pub use error::Error;
pub use event::{Event, Events, Stream};
pub use instance::{Address, Instance, State};
pub use process::successor::Successor;
pub use reexec::{SELF_EXE, hidden_verb};
pub use spec::{Backoff, Spec};
pub use supervisor::Supervisor;
