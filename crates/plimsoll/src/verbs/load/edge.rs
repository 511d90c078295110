//! The edge that `--with-and-without` starts in front of the app: our own binary on a free port, with everything as by default.

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use anyhow::{Context, anyhow};
use plimsoll_load::Target;
use plimsoll_load::target::{Place, Scheme};
use plimsoll_supervisor::{Address, SELF_EXE, Spec, Supervisor};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::config::Environment;
use crate::report::Failure;

const STARTS_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Edge {
    supervisor: Supervisor,
    /// Where it listens, with the app's path.
    pub(super) target: Target,
    _directory: TempDir,
}

impl Edge {
    /// Starts it and waits until it takes connections.
    pub(super) async fn start(app: &Target, environment: &Environment) -> Result<Self, Failure> {
        let directory = tempfile::tempdir().context("cannot make a temporary directory")?;
        let file = directory.path().join("plimsoll.toml");
        fs::write(&file, configuration(app)?).context("cannot write the edge's configuration")?;
        let mut command: Vec<OsString> = [SELF_EXE, "gateway", "--port", "{port}", "--admin-port", "0", "--config"].map(Into::into).into();
        command.extend([file.into(), "--data-dir".into(), directory.path().join("data").into()]);
        let is_ours = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("PLIMSOLL");
        let spec = Spec {
            name_prefix: "edge".to_owned(),
            // What is set for other fleets is not meant for this one.
            inherited: environment.for_instances().into_iter().filter(|(name, _)| !is_ours(name)).collect(),
            stop_timeout: STOP_TIMEOUT,
            ..Spec::new(SELF_EXE.into(), directory.path().join("run"), command)
        };
        let (supervisor, _) = Supervisor::start(spec).await?;
        let address = supervisor.instances().borrow().first().map(|instance| instance.address.clone());
        let Some(Address::Tcp(address)) = address else { return Err(Failure::failed(anyhow!("the edge has no port"))) };
        let place = Place::Tcp { host: address.ip().to_string(), port: address.port() };
        let edge = Self { supervisor, target: Target { scheme: Scheme::Http, place, path: app.path.clone() }, _directory: directory };
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            if started.elapsed() > STARTS_WITHIN {
                edge.stop().await;
                return Err(Failure::failed(anyhow!("the edge in front of the app did not start within {STARTS_WITHIN:?}")));
            }
            sleep(ASK_EVERY).await;
        }
        // It takes connections. Nobody else tells the supervisor, which would start it anew after a minute.
        for instance in edge.supervisor.instances().borrow().iter() {
            edge.supervisor.report_ready(&instance.id, instance.generation, true);
        }
        Ok(edge)
    }

    pub(super) async fn stop(self) {
        self.supervisor.stop().await;
    }
}

/// Nothing but where things are; a line for each refusal would cost what is to be measured.
fn configuration(app: &Target) -> Result<String, Failure> {
    let server = match (&app.place, app.scheme) {
        (Place::Unix(socket), _) => {
            let socket = fs::canonicalize(socket).with_context(|| format!("cannot find {}", socket.display()))?;
            format!("unix:{}", socket.display())
        }
        (Place::Tcp { .. }, Scheme::Http) => format!("http://{}", app.authority()),
        (Place::Tcp { .. }, Scheme::Https) => {
            return Err(Failure::asked("the edge is put before the app's plain port").hint("name the app's own port, behind its TLS"));
        }
    };
    let server = toml::Value::from(server);
    Ok(format!(
        "[gateway]\nbind = \"127.0.0.1\"\n[gateway.timeouts]\ndrain = \"1s\"\n[log]\naccess = \"off\"\nlevel = \"error\"\n\
         [[upstream]]\nname = \"app\"\nservers = [{server}]\n[[route]]\nmatch = \"/*\"\nupstream = \"app\"\n"
    ))
}
