//! Bounded lists.

use bytes::Bytes;

use super::race;
use crate::Pair;

pub(crate) async fn a_list_keeps_the_newest_in_order(Pair { here, there }: Pair) {
    assert!(here.list_newest("list", 10).await.unwrap().is_empty());
    for number in 0..25 {
        let state = if number % 2 == 0 { &here } else { &there };
        state.list_push("list", Bytes::from(number.to_string()), 10).await.unwrap();
    }
    let newest: Vec<Bytes> = (15..25).rev().map(|number| Bytes::from(number.to_string())).collect();
    assert_eq!(there.list_newest("list", 100).await.unwrap(), newest);
    assert_eq!(here.list_newest("list", 3).await.unwrap(), newest[..3]);
    assert!(here.list_newest("list", 0).await.unwrap().is_empty());

    here.list_push("list", "last".into(), 2).await.unwrap();
    assert_eq!(there.list_newest("list", 100).await.unwrap(), ["last", "24"], "a smaller bound holds at once");
    here.list_push("list", "none".into(), 0).await.unwrap();
    assert!(there.list_newest("list", 100).await.unwrap().is_empty());
}

pub(crate) async fn concurrent_pushes_keep_the_bound(pair: Pair) {
    race(&pair, |state, number| async move {
        for round in 0..5 {
            state.list_push("busy list", Bytes::from(format!("{number} {round}")), 7).await.unwrap();
        }
    })
    .await;
    let items = pair.here.list_newest("busy list", 1000).await.unwrap();
    assert_eq!(items.len(), 7);
    let items: Vec<String> = items.iter().map(|item| String::from_utf8_lossy(item).into_owned()).collect();
    // Each task pushed its rounds in order: whatever is kept of it ends, newest first, with its last one.
    for (position, item) in items.iter().enumerate() {
        let (task, round) = item.split_once(' ').unwrap();
        let next = format!("{task} {}", round.parse::<u32>().unwrap() + 1);
        assert!(round == "4" || items[..position].contains(&next), "{item} without the next of its task: {items:?}");
    }
}
