//! The toolkit: every policy is a decision written once, called by the edge and mounted by services.
//!
//! | module | decides |
//! |---|---|
//! | [`respond`] | which status, type and title a refusal has: the only such table |
//! | [`refusal`] | how a refusal travels, and the `application/problem+json` it becomes |
//! | [`request_id`] | which id names a request in headers, bodies and logs |
//! | [`forwarded`] | who the client is behind trusted proxies, and what the next hop is told |

pub mod forwarded;
pub mod refusal;
pub mod request_id;
pub mod respond;

pub use refusal::Refusal;
pub use request_id::RequestId;
pub use respond::Reason;
