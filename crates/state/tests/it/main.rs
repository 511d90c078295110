//! One behavioural suite for all backends (`claims`), and what is particular to each.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

mod claims;
mod cost;
mod memory;
mod redis;
mod sqlite;

use plimsoll_state::State;

/// Two handles on one store, as two instances have them.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) here: State,
    pub(crate) there: State,
}

/// Makes one test of each claim.
macro_rules! check_each_claim {
    ($open:ident; $($area:ident: $($claim:ident)*;)*) => {
        $( mod $area { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let (pair, _server) = super::$open().await;
                crate::claims::$area::$claim(pair).await;
            }
        )* } )*
    };
}

/// Runs every claim against one store: for those whose servers take seconds to start.
macro_rules! check_all_claims {
    ($pair:expr; $($area:ident: $($claim:ident)*;)*) => {
        $( $(
            println!("claim: {}", stringify!($claim));
            crate::claims::$area::$claim($pair.clone()).await;
        )* )*
    };
}

/// Hands the list of all claims to `$then`.
macro_rules! with_claims {
    ($then:ident!($argument:tt)) => {
        crate::$then! { $argument;
            values: a_value_is_read_back_as_it_was_written a_value_expires touch_extends_and_keeps_the_version
                delete_says_whether_there_was_something every_write_changes_the_version compare_and_set_refuses_a_stale_version
                a_race_has_one_winner keys_and_values_may_be_anything_within_the_limits kinds_do_not_meet;
            counters: concurrent_increments_add_up a_counter_lives_from_its_first_increment a_counter_never_wraps;
            lists: a_list_keeps_the_newest_in_order concurrent_pushes_keep_the_bound;
            tokens: a_burst_is_paid_and_no_more tokens_come_back_as_promised concurrent_takers_never_get_too_much;
            channels: messages_reach_every_subscriber_in_order a_subscription_sees_all_that_follows a_slow_subscriber_is_told;
            locks: a_lock_has_one_holder_and_rising_fences a_lost_lease_is_lost concurrent_takers_have_one_holder;
        }
    };
}

pub(crate) use {check_all_claims, check_each_claim, with_claims};
