//! TLS from the side that connects: whom to believe, what to show of oneself, and why a handshake failed, in words.
//!
//! | module | does |
//! |---|---|
//! | `client` | what every connection to the same servers shares |
//! | `roots` | the authorities that vouch for a server: the system's, a file's, or nobody |
//! | `identity` | the certificate that a server may ask for |
//! | `fault` | what was wrong with a certificate |
//! | `anyone` | no check at all, for tests of one's own servers |

mod anyone;
mod client;
mod fault;
mod identity;
mod roots;

pub use client::{Error, client};
pub use fault::Fault;
pub use identity::Identity;
pub use roots::Roots;
