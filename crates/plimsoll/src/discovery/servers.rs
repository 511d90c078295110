//! One upstream: gathers what its names and its file say, and publishes the whole.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_gateway::FileStamp;
use plimsoll_gateway::{Address, Endpoint};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, Interval, interval, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::dns::Resolver;
use super::memory::Pace;
use super::name::{self, Question, Told};
use super::roster::Roster;
use super::{Found, file};
use crate::config::{self, Listener, Server, ServerAddress, Settings, Upstream};

/// How often the file is looked at. Asking for its size and time costs nothing, and works where files are mounted or swapped by links.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Answers that wait to be taken in.
const ANSWERS_MAX: usize = 16;

/// Everything that decides which servers an upstream has. As long as it stays the same, so does what was found.
#[derive(Clone, PartialEq)]
pub(super) struct Spec {
    upstream: Arc<str>,
    servers: Vec<Server>,
    file: Option<PathBuf>,
    server_name: Option<Arc<str>>,
    /// Where this process listens itself: no server can be there.
    listeners: Vec<Listener>,
    discovery: Arc<config::Discovery>,
}

impl Spec {
    pub(super) fn new(settings: &Settings, upstream: &Upstream, discovery: &Arc<config::Discovery>) -> Self {
        Self {
            upstream: upstream.name.as_str().into(),
            servers: upstream.servers.clone(),
            file: upstream.servers_file.clone(),
            server_name: upstream.server_name.as_deref().map(Into::into),
            listeners: Listener::all(settings).collect(),
            discovery: Arc::clone(discovery),
        }
    }

    pub(super) fn is_of_same_upstream(&self, other: &Self) -> bool {
        self.upstream == other.upstream
    }

    fn differs_in_servers_only(&self, other: &Self) -> bool {
        let Self { upstream, server_name, listeners, discovery, servers: _, file: _ } = self;
        (upstream, server_name, listeners, discovery) == (&other.upstream, &other.server_name, &other.listeners, &other.discovery)
    }
}

/// The list of an upstream, and the way to those who keep it.
pub(super) struct Running {
    pub(super) spec: Spec,
    pub(super) endpoints: watch::Receiver<Vec<Endpoint>>,
    changes: mpsc::Sender<Change>,
}

/// Other servers for the same upstream, and who waits until they are in the list.
struct Change {
    spec: Spec,
    done: oneshot::Sender<()>,
}

impl Running {
    /// Takes over a spec, and returns when what it says is in the list; false if more has changed than the servers.
    pub(super) async fn follow(&mut self, spec: &Spec) -> bool {
        if self.spec == *spec {
            return true;
        }
        if !self.spec.differs_in_servers_only(spec) {
            return false;
        }
        let (done, changed) = oneshot::channel();
        if self.changes.send(Change { spec: spec.clone(), done }).await.is_err() || changed.await.is_err() {
            return false;
        }
        self.spec = spec.clone();
        true
    }
}

/// What is written down is in the list at once; names and files follow. Ends when nobody wants the list any more.
pub(super) async fn start(spec: Spec, resolver: Arc<Resolver>) -> Running {
    let (tell, told) = mpsc::channel(ANSWERS_MAX);
    let (changes, changed) = mpsc::channel(1);
    let kept = spec.clone();
    let file = File::of(&spec).await;
    let mut servers =
        Servers { roster: Roster::new(spec.discovery.drain), known: Vec::new(), names: HashMap::new(), spec, resolver, tell, left_out: 0 };
    let from_file = servers.read().await;
    servers.list(from_file.unwrap_or_default());
    let (publish, endpoints) = watch::channel(servers.roster.endpoints());
    tokio::spawn(servers.run(publish, told, changed, file));
    Running { spec: kept, endpoints, changes }
}

struct Servers {
    spec: Spec,
    resolver: Arc<Resolver>,
    /// What each listed server stands for, in the order of the lists.
    known: Vec<Told>,
    /// Those that must be asked for.
    names: HashMap<Server, AbortOnDropHandle<()>>,
    roster: Roster,
    tell: mpsc::Sender<Told>,
    left_out: usize,
}

impl Servers {
    async fn run(
        mut self,
        publish: watch::Sender<Vec<Endpoint>>,
        mut told: mpsc::Receiver<Told>,
        mut changes: mpsc::Receiver<Change>,
        mut file: Option<File>,
    ) {
        loop {
            let mut waits = None;
            tokio::select! {
                () = publish.closed() => return,
                Some((server, found)) = told.recv() => self.learn(&server, found),
                () = changed(&mut file) => {
                    if let Some(listed) = self.read().await {
                        self.list(listed);
                    }
                }
                Some(Change { spec, done }) = changes.recv() => {
                    self.spec = spec;
                    file = File::of(&self.spec).await;
                    // A file that has broken since it was checked leaves those known.
                    let listed = if file.is_some() { self.read().await } else { Some(Vec::new()) };
                    if let Some(listed) = listed {
                        self.list(listed);
                    }
                    waits = Some(done);
                }
                () = next_sweep(&self.roster) => self.roster.sweep(Instant::now()),
            }
            let endpoints = self.roster.endpoints();
            publish.send_if_modified(|known| std::mem::replace(known, endpoints) != *known);
            // Whoever waited may have stopped waiting.
            let _ = waits.map(|done| done.send(()));
        }
    }

    /// The servers of the file, if there is one; none if it cannot be used, and then what it said before stays.
    async fn read(&self) -> Option<Vec<Server>> {
        let path = self.spec.file.clone()?;
        let read = spawn_blocking(move || (file::load(&path), path)).await;
        let (read, path) = read.expect("reading a file does not panic");
        match read {
            Ok(servers) => {
                tracing::info!(upstream = &*self.spec.upstream, file = %path.display(), servers = servers.len(), "servers were read from a file");
                Some(servers)
            }
            Err(fault) => {
                let upstream = &*self.spec.upstream;
                tracing::warn!(upstream, file = %path.display(), "a file of servers cannot be used, and those known stay: {fault}");
                None
            }
        }
    }

    /// Takes over what a file lists, after what the settings list. Names that are listed as before go on.
    fn list(&mut self, from_file: Vec<Server>) {
        let mut before: HashMap<_, _> = self.known.drain(..).collect();
        let mut names = std::mem::take(&mut self.names);
        for server in self.spec.servers.iter().cloned().chain(from_file) {
            if self.known.iter().any(|(known, _)| *known == server) {
                continue;
            }
            let found = if let Some(found) = self.written(&server) {
                if is_elsewhere(&self.spec, &server, &found) { vec![found] } else { Vec::new() }
            } else {
                let asking = names.remove(&server).unwrap_or_else(|| self.ask(&server));
                self.names.insert(server.clone(), asking);
                before.remove(&server).unwrap_or_default()
            };
            self.known.push((server, found));
        }
        self.settle();
    }

    /// What needs no question.
    fn written(&self, server: &Server) -> Option<Found> {
        let address = match &server.address {
            ServerAddress::Unix(path) => Address::Unix(path.clone()),
            ServerAddress::Tcp { scheme, host, port } => {
                let address = SocketAddr::new(host.parse::<IpAddr>().ok()?, *port);
                name::reached(*scheme, host, address, self.spec.server_name.as_ref())
            }
            ServerAddress::Service { .. } => return None,
        };
        Some(Found { address, weight: server.weight, priority: server.priority })
    }

    fn ask(&self, server: &Server) -> AbortOnDropHandle<()> {
        let config::Discovery { ttl_min, ttl_max, empty_after, .. } = *self.spec.discovery;
        let question = Question {
            upstream: Arc::clone(&self.spec.upstream),
            server: server.clone(),
            server_name: self.spec.server_name.clone(),
            resolver: Arc::clone(&self.resolver),
            pace: Pace { ttl_min, ttl_max, empty_after },
        };
        AbortOnDropHandle::new(tokio::spawn(name::follow(question, self.tell.clone())))
    }

    /// An answer may have been under way when its name was struck from the list.
    fn learn(&mut self, server: &Server, found: Vec<Found>) {
        if let Some((_, known)) = self.known.iter_mut().find(|(known, _)| known == server) {
            *known = found.into_iter().filter(|found| is_elsewhere(&self.spec, server, found)).collect();
            self.settle();
        }
    }

    fn settle(&mut self) {
        let listed = self.known.iter().flat_map(|(_, found)| found.iter().cloned());
        let left_out = self.roster.take(listed, Instant::now()).left_out;
        if left_out > self.left_out {
            tracing::warn!(upstream = &*self.spec.upstream, left_out, "an upstream has too many servers: some are left out");
        }
        self.left_out = left_out;
    }
}

/// Whether a server is somewhere else than this gateway, which would drown in its own requests.
fn is_elsewhere(spec: &Spec, server: &Server, found: &Found) -> bool {
    let Some(address) = found.address.socket() else { return true };
    let Some(listener) = spec.listeners.iter().find(|listener| listener.is_reached_at(address)) else { return true };
    let (message, hint) = listener.refusal(&format!("{} ({address})", server.address));
    tracing::error!(upstream = &*spec.upstream, "{message}; it is left out: {hint}");
    false
}

async fn next_sweep(roster: &Roster) {
    match roster.next_sweep() {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// A file that is looked at for changes.
struct File {
    path: PathBuf,
    stamp: Option<FileStamp>,
    look: Interval,
}

impl File {
    /// To be called before it is read: a change in between is seen at the next look.
    async fn of(spec: &Spec) -> Option<Self> {
        let path = spec.file.clone()?;
        Some(Self { stamp: FileStamp::look(path.clone()).await, path, look: interval(LOOK_EVERY) })
    }
}

/// Never, if there is no file. One that is gone has not changed: it is being replaced.
async fn changed(file: &mut Option<File>) {
    let Some(file) = file else { return std::future::pending().await };
    loop {
        file.look.tick().await;
        let now = FileStamp::look(file.path.clone()).await;
        if now.is_some() && now != file.stamp {
            file.stamp = now;
            return;
        }
    }
}
