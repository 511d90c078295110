//! One function per call: take what the request holds, ask the module that knows, answer.

pub(crate) mod health;
pub(crate) mod index;
pub(crate) mod session;
pub(crate) mod stats;
pub(crate) mod whoami;
