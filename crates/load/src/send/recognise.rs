//! Recognises an edge of ours by an answer that nobody else gives.
//!
//! An edge refuses `TRACE` itself, whatever is behind it, and says so in its own words. So one request tells, no answer to anybody else
//! carries a mark for it, and whoever is no edge gets a request that changes nothing.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::connect::Connector;
use crate::plan::{Plan, Protocol};

const WORDS: &[u8] = b"urn:plimsoll:problem:not-implemented";
/// Whoever takes longer is not recognised.
const WITHIN: Duration = Duration::from_secs(1);
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Whether the plan's target is an edge of ours. Not being reached, or not being sure, is a no.
pub async fn is_edge(plan: &Plan) -> bool {
    timeout(WITHIN, says_so(plan)).await.unwrap_or(false)
}

async fn says_so(plan: &Plan) -> bool {
    let Ok((connector, _)) = Connector::reach(&plan.target, Protocol::Http1, &plan.trust).await else { return false };
    let Ok((mut stream, _)) = connector.connect().await else { return false };
    let host = plan.target.authority();
    let request = format!("TRACE / HTTP/1.1\r\nhost: {host}\r\nmax-forwards: 0\r\nconnection: close\r\n\r\n");
    if stream.write_all(request.as_bytes()).await.is_err() || stream.flush().await.is_err() {
        return false;
    }
    let mut answer = Vec::new();
    while answer.len() < ANSWER_BYTES_MAX && stream.read_buf(&mut answer).await.is_ok_and(|count| count > 0) {
        if answer.windows(WORDS.len()).any(|words| words == WORDS) {
            return true;
        }
    }
    false
}
