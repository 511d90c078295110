//! Flow control: who may send how much.

use super::client::{Http2, request};
use crate::edge::Edge;
use crate::origin::Origin;
use crate::peer::until;

/// Where the client may send more on some streams than the connection takes, these keep the others from sending anything.
#[tokio::test]
async fn uploads_that_begin_at_once_may_all_send_something() {
    const UPLOADS: usize = 100;
    const MORE_THAN_A_WINDOW: usize = 1024 * 1024;
    let origin = Origin::start(|mut visit| async move {
        visit.head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let client = Http2::connect(&edge).await;
    let mut uploads: Vec<_> = (0..UPLOADS).map(|_| client.begin(request("PUT", "/x"), false)).collect();
    for (_, stream) in &mut uploads {
        stream.reserve_capacity(MORE_THAN_A_WINDOW);
    }
    until("each to have a part of the connection's window", || uploads.iter().all(|(_, stream)| stream.capacity() > 0)).await;
}
