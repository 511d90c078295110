//! The operator's side of a running edge: the admin listener and the control socket in the data directory.

use std::net::SocketAddr;

use anyhow::Context;
use plimsoll_admin::{Config, Listener, Source};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::listening;
use crate::report::Failure;

/// Bound, so that a port in use is known before anything is started.
pub struct Operator {
    listeners: Vec<Listener>,
    config: Config,
    pub address: SocketAddr,
}

impl Operator {
    pub async fn bind(settings: &Settings, data_dir: &DataDir) -> Result<Self, Failure> {
        let admin = &settings.admin;
        let token = (!admin.token.is_empty()).then(|| admin.token.expose().to_owned());
        let config = Config { token, hosts: admin.hosts.clone(), ..Config::default() };
        let asked = SocketAddr::new(admin.bind, admin.port);
        let tcp = Listener::tcp(asked, &config).await.map_err(|error| {
            let hint = match &error {
                plimsoll_admin::Error::Bind { source, .. } => listening::hint(source.kind(), asked, listening::OPERATOR),
                _ => None,
            };
            Failure::failed(error).hint_if(hint)
        })?;
        let address = tcp.address().context("the admin listener has no address")?;
        let socket = Listener::unix(data_dir.socket())?;
        Ok(Self { listeners: vec![tcp, socket], config, address })
    }

    pub fn serve(self, source: Source) -> Serving {
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(plimsoll_admin::serve(self.listeners, source, self.config, async move {
            let _ = stopped.await;
        }));
        Serving { stop, task }
    }
}

/// The operator's pages, until they are stopped.
pub struct Serving {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), plimsoll_admin::Error>>,
}

impl Serving {
    pub async fn stop(self) {
        drop(self.stop);
        if let Ok(Err(error)) = self.task.await {
            tracing::error!(%error, "the operator's pages ended");
        }
    }
}
