//! HTTP/2 towards instances: connections that many requests share (RFC 9113).
//!
//! Each worker has its own connections to each instance. A further one is opened when the streams that the instance allows are used up.
//!
//! | file | does |
//! |---|---|
//! | `handshake` | what both sides say before the first request, and proof that the instance listens |
//! | `traffic` | how many bytes went each way: whether a request can have left, and whether the peer is alive |
//! | `connection` | one connection: who may still use it, and its task |
//! | `group` | the connections to one instance, and who opens the next |
//! | `translate` | between the pipeline's messages and HTTP/2's |
//! | `stream` | one request on a connection |
//! | `received` | an answer's body, as fast as the client takes it |

mod connection;
mod group;
mod handshake;
mod received;
mod stream;
mod traffic;
mod translate;

pub(crate) use group::{Group, Way, Wish};
pub(crate) use handshake::{Opened, handshake};
pub(crate) use stream::{Stream, Tunnel};
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use translate::{request, response};
