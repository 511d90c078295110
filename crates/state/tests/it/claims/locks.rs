//! Locks with fencing tokens.

use std::time::Duration;

use plimsoll_state::Lock;
use plimsoll_testbed::poll;

use super::{SOON, race};
use crate::Pair;

const LONG: Duration = Duration::from_mins(1);

pub(crate) async fn a_lock_has_one_holder_and_rising_fences(Pair { here, there }: Pair) {
    let mut last = 0;
    for _ in 0..10 {
        let lock = here.lock("lock", LONG).await.unwrap().expect("it is free");
        assert!(lock.fence > last, "{} after {last}", lock.fence);
        last = lock.fence;
        assert_eq!(there.lock("lock", LONG).await.unwrap(), None, "it is held");
        assert!(there.renew(&lock, LONG).await.unwrap(), "whoever has the token may renew");
        let stranger = Lock { fence: lock.fence + 1, ..lock.clone() };
        assert!(!there.renew(&stranger, LONG).await.unwrap() && !there.unlock(&stranger).await.unwrap());
        assert!(here.unlock(&lock).await.unwrap());
        assert!(!here.unlock(&lock).await.unwrap() && !here.renew(&lock, LONG).await.unwrap(), "it was given back");
    }
}

pub(crate) async fn a_lost_lease_is_lost(Pair { here, there }: Pair) {
    let lost = here.lock("lease", Duration::from_millis(200)).await.unwrap().unwrap();
    let kept = here.lock("kept lease", Duration::from_millis(200)).await.unwrap().unwrap();
    assert!(here.renew(&kept, LONG).await.unwrap());
    let lock = poll::until(SOON, "the lease to end", async || there.lock("lease", LONG).await.unwrap()).await;
    assert!(lock.fence > lost.fence);
    assert!(!here.renew(&lost, LONG).await.unwrap() && !here.unlock(&lost).await.unwrap());
    assert_eq!(here.lock("lease", LONG).await.unwrap(), None, "the old holder cannot take it from the new one");
    assert_eq!(there.lock("kept lease", LONG).await.unwrap(), None, "a renewed lease goes on");
}

pub(crate) async fn concurrent_takers_have_one_holder(pair: Pair) {
    let mut last = 0;
    for _ in 0..5 {
        let locks = race(&pair, |state, _| async move { state.lock("contended", LONG).await.unwrap() }).await;
        let holders: Vec<Lock> = locks.into_iter().flatten().collect();
        assert_eq!(holders.len(), 1, "{holders:?}");
        assert!(holders[0].fence > last);
        last = holders[0].fence;
        assert!(pair.there.unlock(&holders[0]).await.unwrap());
    }
}
