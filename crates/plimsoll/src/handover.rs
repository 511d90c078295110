//! A new binary takes over from the one that runs, without a moment in which nobody listens.
//!
//! ```text
//! running process                              its successor
//!   starts the binary's file, sends sockets ──►  reads its settings, starts what it needs, accepts nothing
//!                                           ◄──  ready
//!   go                                      ──►  accepts
//!   stops accepting, finishes, ends         ◄──  serving
//! ```
//!
//! Both listen on the same sockets, so no connection waits in a queue that nobody takes from. Until `serving` the running process goes on
//! as if nothing had happened; whatever goes wrong before is only the successor's end.
//!
//! | module | holds |
//! |---|---|
//! | `channel` | messages with open files beside them |
//! | `binary` | which file is started, with which arguments |
//! | `estate` | what is handed over |
//! | `bequeath` | the running process's side |
//! | `inherit` | the successor's side, and sockets that a service manager has opened for us |

mod bequeath;
mod binary;
mod channel;
mod estate;
mod inherit;

use std::net::SocketAddr;

use plimsoll_gateway::config::Speaks;
use serde::{Deserialize, Serialize};

pub use bequeath::bequeath;
pub use binary::Binary;
pub use estate::Estate;
pub use inherit::{Inherited, Predecessor, tell_predecessor};

/// What a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Http,
    Https,
    Admin,
}

impl Role {
    fn of(speaks: Speaks) -> Self {
        match speaks {
            Speaks::Http => Self::Http,
            Speaks::Https => Self::Https,
        }
    }
}

/// What an open file is, that travels from one process to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Label {
    /// The lock of the data directory.
    Claim,
    Socket {
        role: Role,
        /// The address in the settings, whose port may be 0.
        asked: SocketAddr,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ToSuccessor {
    /// As many as files come with it, in the same order.
    Files(Vec<Label>),
    /// That was all.
    Rest {
        /// The soft limit of open files before it was raised.
        open_files: Option<u64>,
    },
    Go,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ToPredecessor {
    Ready,
    Serving,
    /// Why it ended, as it would have been printed.
    Failed(String),
}
