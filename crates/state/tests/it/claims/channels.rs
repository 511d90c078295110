//! Publish and subscribe.

use std::time::Duration;

use bytes::Bytes;
use plimsoll_state::{Message, Subscription};
use tokio::time::timeout;

use super::SOON;
use crate::Pair;

pub(crate) async fn next(subscription: &mut Subscription) -> Message {
    timeout(SOON, subscription.next()).await.expect("a message comes").expect("the store is open")
}

pub(crate) async fn messages_reach_every_subscriber_in_order(Pair { here, there }: Pair) {
    let mut subscribers =
        [here.subscribe("news").await.unwrap(), here.subscribe("news").await.unwrap(), there.subscribe("news").await.unwrap()];
    let mut other = there.subscribe("other news").await.unwrap();
    for number in 0..100 {
        here.publish("news", Bytes::from(number.to_string())).await.unwrap();
    }
    there.publish("other news", "for others".into()).await.unwrap();
    for subscriber in &mut subscribers {
        for number in 0..100 {
            assert_eq!(next(subscriber).await, Message::Data(number.to_string().into()));
        }
    }
    assert_eq!(next(&mut other).await, Message::Data("for others".into()));

    let [first, second, third] = subscribers;
    drop((first, third));
    there.publish("news", "still here".into()).await.unwrap();
    let mut second = second;
    assert_eq!(next(&mut second).await, Message::Data("still here".into()), "others may leave");
}

pub(crate) async fn a_subscription_sees_all_that_follows(Pair { here, there }: Pair) {
    for round in 0..50 {
        here.publish("history", "before".into()).await.unwrap();
        let mut subscription = there.subscribe("history").await.unwrap();
        here.publish("history", Bytes::from(format!("after {round}"))).await.unwrap();
        let after = Message::Data(format!("after {round}").into());
        // What was on its way already may come too.
        while next(&mut subscription).await != after {}
    }
}

pub(crate) async fn a_slow_subscriber_is_told(Pair { here, there }: Pair) {
    const SENT: usize = 1000;
    let mut slow = there.subscribe("flood").await.unwrap();
    let mut quick = there.subscribe("flood").await.unwrap();
    let reader = tokio::spawn(async move {
        let mut read = 0;
        while next(&mut quick).await != Message::Data("end".into()) {
            read += 1;
        }
        read
    });
    for number in 0..SENT {
        here.publish("flood", Bytes::from(number.to_string())).await.unwrap();
        // Gives the quick one the time that the slow one does not take.
        tokio::time::sleep(Duration::from_micros(10)).await;
    }
    here.publish("flood", "end".into()).await.unwrap();
    let read = reader.await.unwrap();
    assert!(read > 0, "one slow subscriber does not hold up the others");

    let mut expected = 0;
    loop {
        match next(&mut slow).await {
            Message::Data(bytes) => assert_eq!(bytes, expected.to_string()),
            Message::Missed => break,
        }
        expected += 1;
    }
    assert!((100..SENT).contains(&expected), "the queue is bounded and of some use: {expected}");
}
