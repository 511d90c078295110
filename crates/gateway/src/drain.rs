//! The order to stop, seen by every worker and connection.

use tokio::sync::watch;

#[derive(Clone)]
pub(crate) struct Drain(watch::Receiver<bool>);

impl Drain {
    pub(crate) fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    pub(crate) fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when the order has been given, or whoever could give it is gone.
    pub(crate) async fn wait(mut self) {
        let _ = self.0.wait_for(|draining| *draining).await;
    }
}
