//! Why a plan could not be carried out at all. What goes wrong with a single request is recorded, not returned.

use std::io;

use crate::record::ErrorKind;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the address `{url}` cannot be used: {reason}")]
    BadTarget { url: String, reason: &'static str },

    #[error("the plan cannot be carried out: {0}")]
    BadPlan(String),

    #[error("the scenario is wrong: {0}")]
    BadScenario(String),

    #[error("cannot read {path}")]
    File { path: String, source: io::Error },

    /// The very first connection failed, so that a load would only count errors.
    #[error("cannot reach {target}: {reason}")]
    Unreachable { target: String, kind: ErrorKind, reason: String },

    #[error("the name `{host}` does not resolve: {reason}")]
    UnknownName { host: String, reason: String },

    #[error("no secure connection to {target}: {reason}")]
    Tls { target: String, reason: String },

    /// A connection came about, but whoever is there did not take part in the handshake.
    #[error("the TLS handshake with {target} failed: {reason}")]
    NotTls { target: String, reason: &'static str },

    /// A search would only find out how fast it is turned away.
    #[error("not one of {asked} single requests, with nothing else going on, was answered with 2xx or 3xx: {reason}")]
    Unserved { asked: u64, reason: String },

    #[error("virtual user {user} could not log in: {request}: {reason}")]
    Login { user: usize, request: String, reason: String },

    #[error("the load generator could not start")]
    Start(#[source] io::Error),

    #[error("a thread of the load generator ended before its time")]
    Lost,
}
