//! Instances that run inside the test, on a free port or a socket file.

use plimsoll_service::{Config, Context, Error, Listen, Server, SessionKeys};
use plimsoll_state::State;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Answer, Call, Client, PATIENCE};

pub(crate) const SECRET: [u8; 32] = [7; 32];

pub(crate) async fn memory() -> State {
    plimsoll_state::open("memory:").await.unwrap()
}

/// A running instance.
pub(crate) struct Instance {
    pub(crate) listen: Listen,
    pub(crate) context: Context,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<Result<(), Error>>,
}

impl Instance {
    pub(crate) async fn start(state: State) -> Self {
        Self::with(state, |_| {}).await
    }

    /// Starts with settings that `adjust` changed.
    pub(crate) async fn with(state: State, adjust: impl FnOnce(&mut Config)) -> Self {
        let listen = Listen::Tcp("127.0.0.1:0".parse().unwrap());
        let mut config = Config::new("api-1", "1.2.3", listen, state, SessionKeys::new(&[SECRET]).unwrap());
        adjust(&mut config);
        let server = Server::bind(&config).await.unwrap();
        let (listen, context) = (server.listen(), server.context());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async { drop(stopped.await) }));
        Self { listen, context, stop: Some(stop), served }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::open(&self.listen).await
    }

    /// Sends one request on a connection of its own.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.client().await.send(call).await
    }

    /// Logs in and gives back the cookie's value.
    pub(crate) async fn login(&self, username: &str) -> String {
        self.send(Call::login(username)).await.session()
    }

    pub(crate) async fn me(&self, sealed: &str) -> Answer {
        self.send(Call::get("/me").cookie(sealed)).await
    }

    /// What SIGTERM does.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stopped(self) -> Result<(), Error> {
        tokio::time::timeout(PATIENCE, self.served).await.expect("the server stops in time").unwrap()
    }
}

/// Polls until `condition` holds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let poll = async {
        while !condition().await {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, poll).await.is_ok(), "waited in vain: {what}");
}
