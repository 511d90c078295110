//! Whom to believe, and what to offer.

use std::sync::Arc;

use plimsoll_trust::Roots;
use tokio_rustls::TlsConnector;

use crate::plan::{Protocol, Trust};

/// A connector for every connection of a run; session tickets are shared, as in a browser.
pub(crate) fn connector(trust: &Trust, protocol: Protocol) -> Result<TlsConnector, String> {
    let roots = match trust {
        Trust::System => Roots::System,
        Trust::Authorities(path) => Roots::SystemAnd(path.clone()),
        Trust::Anyone => Roots::Anyone,
    };
    let alpn: &[&[u8]] = match protocol {
        Protocol::Auto => &[b"h2", b"http/1.1"],
        Protocol::Http1 => &[b"http/1.1"],
        Protocol::Http2 => &[b"h2"],
    };
    let config = plimsoll_trust::client(&roots, None, alpn).map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config)))
}
