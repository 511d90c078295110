//! The edge: accepts, balances, forwards.
//!
//! The modules in the order in which a request meets them:
//!
//! | module | does |
//! |---|---|
//! | `listen`, `worker` | sockets, one runtime per core, drain |
//! | `connection` | whose a connection is, whether it may stay, what is spoken on it |
//! | `proxy_protocol` | whose connection a load balancer passes on |
//! | `clients`, `pace` | who has how many connections, and who is too slow |
//! | `http1`, `http2` | the client's protocol; `message` is what both become |
//! | `tls` | certificates, and the handshake |
//! | `plan`, `kept` | what a reload swaps: everything that is decided about requests; and what outlives it |
//! | `pipeline` | the order of the steps at the edge, with the reason for each; `journey` counts and logs the request |
//! | `sender` | who is treated as one: by consistent hashing, by fair queueing |
//! | `route` | host, path, method, header and query choose what is done |
//! | `action` | what that is: forward, redirect, respond |
//! | `files` | files of a directory as answers |
//! | `compress`, `caching` | what is done to an answer on its way out: its body, and what caches are told |
//! | `disclosure` | what it tells about its way here, and what it keeps to itself |
//! | `fallback` | what is answered when no real answer can be had |
//! | `circuit` | whether its upstream is asked at all |
//! | `attempt`, `failure` | which attempts a request gets |
//! | `upstream`, `balance`, `outlier`, `probe` | which instance takes an attempt, and which may not |
//! | `forward`, `pool`, `tunnel` | one attempt on one connection |
//! | `upstream_http2` | HTTP/2 with instances: one attempt on one stream |
//! | `secure` | TLS with instances: whom to believe, and what to show |

pub mod action;
mod alarm;
mod attempt;
pub mod balance;
mod bounded;
pub mod caching;
mod circuit;
mod clients;
pub mod compress;
pub mod config;
mod connection;
mod date;
pub mod disclosure;
mod drain;
mod endpoint;
mod failure;
mod fallback;
mod file_stamp;
pub mod files;
mod forward;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
mod gateway;
mod hex;
mod http1;
mod http2;
mod interim;
mod journey;
mod kept;
mod listen;
mod message;
pub mod outlier;
mod overload;
mod pace;
mod peer;
mod pipeline;
mod plan;
mod pool;
mod probe;
mod proxy_protocol;
pub mod route;
pub mod secure;
mod seldom;
pub mod sender;
mod stats;
pub mod tls;
mod transport;
mod tunnel;
mod upstream;
mod upstream_http2;
#[cfg(test)]
mod woken;
mod worker;

pub use config::{Config, Listening};
pub use endpoint::{Address, Endpoint};
pub use fallback::Fallback;
pub use file_stamp::FileStamp;
pub use gateway::{Error, Gateway, Setup, Source};
pub use pipeline::ORDER;
pub use probe::{OnHealth, Why};
