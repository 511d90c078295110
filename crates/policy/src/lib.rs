//! The toolkit: every policy is a decision written once, called by the edge and mounted by services.
//!
//! | module | decides |
//! |---|---|
//! | [`respond`] | which status, type and title a refusal has: the only such table |
//! | [`refusal`] | how a refusal travels, and the `application/problem+json` it becomes |
//! | [`request_id`] | which id names a request in headers, bodies and logs |
//! | [`forwarded`] | who the client is behind trusted proxies, and what the next hop is told |
//! | [`peer`] | who is at the other end of a connection, and whether its word counts |
//! | [`deadline`] | until when an answer is of use, and how the next hop is told |
//! | [`admission`] | how many requests the instances work on at once, who waits, and who is turned away |
//! | [`priority`] | how much a request matters when not all can be served |
//! | [`retry`] | whether a failed request may be made again |
//! | [`budget`] | how many attempts may be made beyond one for each request |
//! | [`backoff`] | how long to wait before a further one |
//! | [`breaker`] | whether an attempt should be made at all |
//! | [`hedge`] | when a second attempt races a slow first one |
//! | [`fallback`] | what is answered when no real answer can be had |
//! | [`content_coding`] | which coding an answer gets, of those that its client takes |
//! | [`conditional`] | whether a conditional request gets what it asks for |
//! | [`byte_range`] | which part of a representation is asked for |
//! | [`access_log`] | what is written about a request once it is over |
//! | [`clock`] | the time that decisions are told |
//! | [`catch_panic`] | what a bug in a handler costs |
//! | [`service_stack`] | in which order a service wears these as tower layers |

pub mod access_log;
pub mod admission;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod byte_range;
pub mod catch_panic;
pub mod clock;
pub mod conditional;
pub mod content_coding;
pub mod deadline;
pub mod fallback;
pub mod forwarded;
pub mod hedge;
pub mod peer;
pub mod priority;
pub mod refusal;
mod remaining;
pub mod request_id;
pub mod respond;
pub mod retry;
pub mod service_stack;

pub use peer::Peer;
pub use refusal::Refusal;
pub use request_id::RequestId;
pub use respond::Reason;
