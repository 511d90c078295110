//! Connections between two requests.

use tokio::time::{Instant, sleep};

use crate::edge::{Edge, get};
use crate::origin::Origin;
use crate::peer::ms;

/// Rests, too long or not, cannot be told from each other without letting time pass.
#[tokio::test]
async fn a_connection_that_has_given_back_its_buffers_is_served_and_one_that_rests_for_too_long_is_closed() {
    let origin = Origin::named("x").await;
    let edge = Edge::with(|plan| plan.config.timeouts.idle = ms(2_500), &[&origin]).await;
    let mut client = edge.connect().await;
    for _ in 0..2 {
        assert_eq!(client.ask(get("/x")).await.text(), "x");
        sleep(ms(1_500)).await;
    }
    assert_eq!(client.ask(get("/x")).await.text(), "x");
    let asked = Instant::now();
    client.closed().await;
    let rested = asked.elapsed();
    assert!((ms(2_400)..ms(4_000)).contains(&rested), "{rested:?}");
}
