//! HTTP/1.1 as RFC 9112 has it, strict, at both ends.
//!
//! hyper was not enough here for two reasons: its server cannot pass on 1xx answers, and its client hides how many bytes of a request left
//! the machine, which is exactly what decides whether a request may be sent again. Head parsing is `httparse`; where a message ends, what is
//! refused and what is written is decided here.
//!
//! | file | does |
//! |---|---|
//! | `wire` | bytes in, bytes out: one connection's buffers, the same at both ends |
//! | `head` | a block of bytes becomes a request or an answer, or is refused |
//! | `authority` | a host and a port, as Host and targets name them |
//! | `decode` | where a body ends: length, chunks, close |
//! | `encode` | heads and chunks as they are written |
//! | `server` | the client's side: a connection's requests, one after the other |

pub(crate) mod authority;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod head;
pub(crate) mod server;
mod wire;

pub(crate) use wire::{HeadError, Wire, WireError};
