//! How an attempt fails, and what follows from it: for the log, for the client, for the instance's record, for the next attempt.

use std::io;

use plimsoll_policy::admission;
use plimsoll_policy::{Reason, Refusal};
use plimsoll_trust::Fault;

use crate::config::Config;
use crate::endpoint::is_our_shortage;
use crate::message::{BodyError, RequestBody};
use crate::outlier;

/// Why an attempt ended without an answer.
#[derive(Debug)]
pub(crate) enum Failure {
    Connect(io::Error),
    ConnectTimeout,
    /// As many requests are under way on as many connections as may be.
    Full,
    /// There is a connection, but TLS could not be agreed on.
    Handshake(io::Error),
    /// The instance closed or reset the connection before it answered.
    Closed,
    /// It ended the stream before it answered.
    Reset(h2::Reason),
    /// It says that it has not looked at the request, since it `leaves` the connection or for a reason of its own.
    Unprocessed {
        leaves: bool,
    },
    Malformed(&'static str),
    /// The instance takes nothing more of the request.
    Stalled,
    FirstByteTimeout,
    TotalTimeout,
    /// The time that the caller or the route allows is over.
    DeadlinePassed,
    /// The client's fault, or its leaving: says nothing about the instance.
    Client(BodyError),
}

/// A failed attempt, with the body given back so that another instance may get it.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// Whether the instance may have seen any of the request.
    pub(crate) sent: bool,
    pub(crate) body: RequestBody,
    /// Its place below the load line, if the instance is known not to work on it any more.
    pub(crate) place: Option<admission::Permit>,
}

impl Failure {
    /// Whether another instance may do better.
    pub(crate) fn is_about_instance(&self) -> bool {
        !matches!(self, Self::Client(_) | Self::TotalTimeout | Self::DeadlinePassed)
    }

    /// What it says about the instance; `None`: nothing.
    pub(crate) fn evidence(&self) -> Option<outlier::Failure> {
        match self {
            // The caller's own limit may have been too short for the work.
            // Servers end a connection after so many requests, or before they restart; and one that is full, or sheds load, is well.
            Self::Client(_) | Self::DeadlinePassed | Self::Full | Self::Unprocessed { .. } => None,
            Self::Connect(error) if is_our_shortage(error) => None,
            Self::Connect(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
                Some(outlier::Failure::Refused)
            }
            _ => Some(outlier::Failure::Broken),
        }
    }

    /// For the log.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Connect(error) => format!("connect: {error}"),
            Self::ConnectTimeout => "connect: timed out".to_owned(),
            Self::Full => "no place on any connection in time".to_owned(),
            Self::Handshake(error) => format!("TLS: {} ({error})", Fault::of(error)),
            Self::Closed => "the instance closed the connection before it answered".to_owned(),
            Self::Reset(reason) => format!("the instance reset the stream: {reason:?}"),
            Self::Unprocessed { leaves: true } => "the instance left the connection before it looked at the request".to_owned(),
            Self::Unprocessed { leaves: false } => "the instance refused the stream".to_owned(),
            Self::Malformed(what) => format!("the instance sent {what}"),
            Self::Stalled => "the instance stopped reading the request".to_owned(),
            Self::FirstByteTimeout => "no first byte in time".to_owned(),
            Self::TotalTimeout => "no answer in time".to_owned(),
            Self::DeadlinePassed => "no answer before the deadline".to_owned(),
            Self::Client(error) => format!("request body: {error:?}"),
        }
    }

    /// For the client. `sent`: whether the instance may have seen any of the request.
    pub(crate) fn refusal(&self, sent: bool, config: &Config) -> Refusal {
        let (reason, detail) = match self {
            Self::Connect(_) | Self::ConnectTimeout => (Reason::UpstreamFailed, "no instance could be reached".to_owned()),
            Self::Handshake(error) => (Reason::UpstreamFailed, format!("no instance could be reached: {}", Fault::of(error))),
            Self::Closed | Self::Reset(_) if sent => {
                (Reason::UpstreamFailed, "the instance broke off; whether it acted on the request is not known".to_owned())
            }
            Self::Closed | Self::Reset(_) => (Reason::UpstreamFailed, "the instance broke off".to_owned()),
            Self::Full | Self::Unprocessed { .. } => (Reason::UpstreamFailed, "the instance did not take the request".to_owned()),
            Self::Stalled => (Reason::UpstreamFailed, "the instance stopped reading the request".to_owned()),
            Self::Malformed(_) => (Reason::UpstreamFailed, "the instance sent an invalid answer".to_owned()),
            Self::FirstByteTimeout => (Reason::FirstByteTimeout, format!("no answer began within {:?}", config.timeouts.first_byte)),
            Self::TotalTimeout => (Reason::TotalTimeout, format!("no answer within {:?}", config.timeouts.total)),
            Self::DeadlinePassed => (Reason::DeadlinePassed, "no answer within the time that was allowed for it".to_owned()),
            Self::Client(BodyError::TooLarge) => (Reason::BodyTooLarge, format!("a body may have {} bytes", config.limits.body_bytes_max)),
            Self::Client(BodyError::Malformed(what)) => (Reason::MalformedRequest, (*what).to_owned()),
            Self::Client(BodyError::Gone) => (Reason::MalformedRequest, "the body ended before its announced end".to_owned()),
            Self::Client(BodyError::TooSlow) => {
                let pace = config.limits.body_bytes_per_second_min;
                (Reason::BodyTooSlow, format!("the body came slower than {pace} bytes a second"))
            }
            Self::Client(BodyError::Idle) => (Reason::BodyTimeout, format!("nothing of the body came for {:?}", config.timeouts.body_idle)),
        };
        Refusal::new(reason, detail)
    }
}
