//! Members of several priorities: the first of which anybody is well takes everything.

use plimsoll_gateway::Endpoint;
use plimsoll_telemetry::snapshot::InstanceState;

use crate::edge::{Edge, get};
use crate::origin::{Origin, ok};
use crate::peer::{PATIENCE, ms, until};

fn ranked(origin: &Origin, id: &str, priority: u16) -> Endpoint {
    Endpoint { priority, ..origin.endpoint(id) }
}

/// All of them have been ready.
async fn edge(endpoints: Vec<Endpoint>) -> Edge {
    let count = endpoints.len();
    let edge = Edge::over(
        |plan| {
            plan.upstream.probe.interval = ms(20);
            plan.upstream.probe.timeout = PATIENCE;
        },
        endpoints,
    );
    until("every origin to be ready", || edge.news.lock().unwrap().len() == count).await;
    edge
}

async fn answers(edge: &Edge, count: usize) -> Vec<String> {
    let mut client = edge.connect().await;
    let mut answers = Vec::new();
    for _ in 0..count {
        answers.push(client.ask(get("/")).await.text().to_owned());
    }
    answers
}

#[tokio::test]
async fn a_reserve_is_spared_until_nobody_else_is_well_and_again_afterwards() {
    let (mut one, mut two, reserve) = (Origin::named("one").await, Origin::named("two").await, Origin::named("reserve").await);
    // Not in order: what counts is the number.
    let edge = edge(vec![ranked(&reserve, "api-9", 7), ranked(&one, "api-1", 2), ranked(&two, "api-2", 2)]).await;
    assert!(answers(&edge, 20).await.iter().all(|name| name != "reserve"));
    one.die().await;
    assert!(answers(&edge, 20).await.iter().all(|name| name == "two"), "one of the first is enough");
    two.die().await;
    assert!(answers(&edge, 20).await.iter().all(|name| name == "reserve"), "no request fails on the way");
    let back = Origin::named("back").await;
    edge.endpoints.send_replace(vec![ranked(&reserve, "api-9", 7), ranked(&back, "api-3", 2)]);
    until("the new one to be ready", || edge.states() == [InstanceState::Ready, InstanceState::Ready]).await;
    assert!(answers(&edge, 20).await.iter().all(|name| name == "back"));
}

#[tokio::test]
async fn a_further_attempt_goes_to_the_reserve_when_all_of_the_first_were_tried() {
    let failing = Origin::answering("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n").await;
    let reserve = Origin::answering(ok("reserve")).await;
    let edge = edge(vec![ranked(&failing, "api-1", 0), ranked(&reserve, "api-2", 1)]).await;
    let answer = edge.get("/").await;
    assert_eq!(answer.text(), "reserve", "{answer:?}");
    assert_eq!((failing.request_count(), reserve.request_count()), (1, 1));
}

#[tokio::test]
async fn a_rank_that_changes_is_no_restart() {
    let (one, two) = (Origin::named("one").await, Origin::named("two").await);
    let edge = edge(vec![ranked(&one, "api-1", 0), ranked(&two, "api-2", 1)]).await;
    assert!(answers(&edge, 10).await.iter().all(|name| name == "one"));
    edge.endpoints.send_replace(vec![ranked(&one, "api-1", 1), ranked(&two, "api-2", 0)]);
    let asked = two.request_count();
    // Its health is known already: nobody waits.
    let mut client = edge.connect().await;
    while two.request_count() == asked {
        assert_eq!(client.ask(get("/")).await.status(), 200);
    }
    assert!(answers(&edge, 10).await.iter().all(|name| name == "two"));
    assert_eq!(edge.news.lock().unwrap().len(), 2, "neither was asked to prove itself again");
}
