//! What an operator may order. Only over the fleet's Unix socket, whose file lets nobody but the owner in: a page in a browser cannot reach
//! it, so nothing here needs to be guarded against one.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

/// Something to do, and who waits for it.
#[derive(Debug)]
pub struct Order {
    pub wish: Wish,
    pub answer: oneshot::Sender<Answer>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Read the settings again.
    Reload,
    /// Let the binary, as its file is now, take over.
    Upgrade,
}

impl Wish {
    pub const ALL: [Self; 2] = [Self::Reload, Self::Upgrade];

    pub const fn path(self) -> &'static str {
        match self {
            Self::Reload => "/control/reload",
            Self::Upgrade => "/control/upgrade",
        }
    }
}

/// What came of an order, in words for whoever gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub outcome: Outcome,
    pub text: String,
    /// What the text sums up, such as mistakes with their lines.
    pub details: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Answer {
    pub fn new(outcome: Outcome, text: impl Into<String>) -> Self {
        Self { outcome, text: text.into(), details: String::new(), hint: None }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done,
    /// It did not work, and nothing was changed.
    Failed,
    /// It was asked wrongly, by a file with mistakes, and nothing was changed.
    Mistaken,
}

pub(crate) fn routes(orders: &mpsc::Sender<Order>) -> Router {
    let route = |router: Router, wish: Wish| {
        let give = async move |State(orders): State<mpsc::Sender<Order>>| give(&orders, wish).await;
        router.merge(Router::new().route(wish.path(), post(give)).with_state(orders.clone()))
    };
    Wish::ALL.into_iter().fold(Router::new(), route)
}

/// Waits for as long as it takes: an upgrade starts a whole fleet.
async fn give(orders: &mpsc::Sender<Order>, wish: Wish) -> Json<Answer> {
    let failed = |text: &str| Answer::new(Outcome::Failed, text);
    let (answer, answered) = oneshot::channel();
    if orders.try_send(Order { wish, answer }).is_err() {
        return Json(failed("it is stopping, or busy with other orders"));
    }
    Json(answered.await.unwrap_or_else(|_| failed("it stopped before it was done")))
}
