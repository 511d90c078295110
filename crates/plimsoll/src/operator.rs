//! The operator's side of a running edge: the admin listener and the control socket in the data directory.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::Context;
use plimsoll_admin::{Config, Listener, Order, Source};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::config::Settings;
use crate::data_dir::DataDir;
use crate::handover::Inherited;
use crate::listening;
use crate::report::Failure;

/// Orders that wait while one is carried out.
const ORDERS_MAX: usize = 8;

/// Bound, so that a port in use is known before anything is started.
pub struct Operator {
    listeners: Vec<Listener>,
    /// The control socket, while it is a predecessor's.
    later: Option<PathBuf>,
    config: Config,
    pub address: SocketAddr,
}

/// What an operator steers by, and what a successor needs for the same.
pub struct Controls {
    pub orders: mpsc::Receiver<Order>,
    /// Where the TCP listener was asked to be, and a clone of its socket.
    pub admin: (SocketAddr, TcpListener),
}

impl Operator {
    /// From a predecessor the TCP socket is taken now, and the control socket only when it lets go.
    pub async fn bind(settings: &Settings, data_dir: &DataDir, inherited: &mut Inherited) -> Result<(Self, Controls), Failure> {
        let admin = &settings.admin;
        let token = (!admin.token.is_empty()).then(|| admin.token.expose().to_owned());
        let (orders, given) = mpsc::channel(ORDERS_MAX);
        let config = Config { token, hosts: admin.hosts.clone(), orders: Some(orders), ..Config::default() };
        let asked = SocketAddr::new(admin.bind, admin.port);
        let tcp = match inherited.admin(asked) {
            Some(socket) => Listener::over(socket, &config),
            None => Listener::tcp(asked, &config).await,
        };
        let tcp = tcp.map_err(|error| {
            let hint = match &error {
                plimsoll_admin::Error::Bind { source, .. } => listening::hint(source.kind(), asked, listening::OPERATOR),
                _ => None,
            };
            Failure::failed(error).hint_if(hint)
        })?;
        let address = tcp.address().context("the admin listener has no address")?;
        let shared = tcp.share().context("cannot share the admin listener's socket")?.context("the admin listener has no socket")?;
        let mut operator = Self { listeners: vec![tcp], later: None, config, address };
        match inherited.predecessor {
            Some(_) => operator.later = Some(data_dir.socket()),
            None => operator.listeners.push(Listener::unix(data_dir.socket())?),
        }
        Ok((operator, Controls { orders: given, admin: (asked, shared) }))
    }

    pub fn serve(mut self, source: Source) -> Result<Serving, Failure> {
        if let Some(path) = self.later {
            self.listeners.push(Listener::unix(path)?);
        }
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(plimsoll_admin::serve(self.listeners, source, self.config, async move {
            let _ = stopped.await;
        }));
        Ok(Serving { stop, task })
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
