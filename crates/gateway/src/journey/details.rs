//! What a line in the log says about a request beyond what is counted: kept only where there may be a line.

use bytes::Bytes;

use crate::message::{Request, Version};

/// A client writes what it likes: longer values are cut.
const BYTES_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Details {
    pub(super) version: Version,
    /// As the client names this server.
    pub(super) host: Bytes,
    pub(super) user_agent: Bytes,
}

impl Details {
    pub(super) fn of(request: &Request) -> Self {
        let user_agent = request.headers.first_named("user-agent").unwrap_or_default();
        Self { version: request.version, host: cut(&request.host), user_agent: cut(user_agent) }
    }
}

/// A copy, since a part would keep the whole head in memory for as long as the answer lasts.
fn cut(value: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&value[..value.len().min(BYTES_MAX)])
}

/// Bytes as the log shows them, which no client can use to write a line of its own.
pub(super) fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(BYTES_MAX)]).escape_debug().to_string()
}
