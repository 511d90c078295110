//! What this process was given by the one that started it: by a predecessor everything that listens, by a service manager the sockets that
//! it has opened for us (`sd_listen_fds(3)`).

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::{Context, anyhow};
use listenfd::ListenFd;
use plimsoll_gateway::config::Door;
use rustix::io::{FdFlags, fcntl_setfd};
use tokio::time::timeout;

use super::channel::{self, Channel};
use super::{Label, Role, ToPredecessor, ToSuccessor};
use crate::config::Environment;
use crate::report::Failure;

/// A predecessor sends everything at once, and the order to go as soon as it hears that we are ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Nothing, for a process that a person has started.
#[derive(Default)]
pub struct Inherited {
    sockets: Vec<Socket>,
    claim: Option<File>,
    open_files: Option<u64>,
    pub predecessor: Option<Predecessor>,
}

struct Socket {
    role: Option<Role>,
    /// What its address was called in the predecessor's settings.
    asked: Option<SocketAddr>,
    listener: TcpListener,
}

impl Inherited {
    pub async fn take(environment: &Environment) -> Result<Self, Failure> {
        if environment.is_successor() {
            let taken = timeout(PATIENCE, Self::from_predecessor()).await;
            return Ok(taken.context("our predecessor hands nothing over")?.context("cannot take over from our predecessor")?);
        }
        Self::from_service_manager(environment)
    }

    async fn from_predecessor() -> anyhow::Result<Self> {
        let channel = Channel::over(rustix::stdio::stdin().try_clone_to_owned()?)?;
        let mut inherited = Self::default();
        loop {
            match channel.receive().await? {
                (ToSuccessor::Files(labels), files) => labels.into_iter().zip(files).for_each(|(label, file)| inherited.add(label, file)),
                (ToSuccessor::Rest { open_files }, _) => {
                    return Ok(Self { open_files, predecessor: Some(Predecessor(channel)), ..inherited });
                }
                (ToSuccessor::Go, _) => return Err(anyhow!("it hurries us: is it another version?")),
            }
        }
    }

    fn add(&mut self, label: Label, file: OwnedFd) {
        match label {
            Label::Claim => self.claim = Some(file.into()),
            Label::Socket { role, asked } => {
                self.sockets.push(Socket { role: Some(role), asked: Some(asked), listener: file.into() });
            }
        }
    }

    fn from_service_manager(environment: &Environment) -> Result<Self, Failure> {
        let mut passed = ListenFd::from_env();
        let names = environment.get("LISTEN_FDNAMES").and_then(|names| names.to_str()).unwrap_or_default();
        let mut names = names.split(':');
        let mut sockets = Vec::new();
        for number in 0..passed.len() {
            let role = names.next().and_then(role);
            let listener = passed.take_tcp_listener(number).context("a socket that the service manager has opened is not for TCP")?;
            let Some(listener) = listener else { continue };
            let ours = fcntl_setfd(&listener, FdFlags::CLOEXEC).map_err(Into::into).and_then(|()| listener.set_nonblocking(true));
            ours.context("cannot use a socket that the service manager has opened")?;
            sockets.push(Socket { role, asked: None, listener });
        }
        Ok(Self { sockets, ..Self::default() })
    }

    /// Gives every door the sockets that are meant for it. What a service manager has opened in vain is a mistake; what a predecessor had
    /// and the settings no longer want is closed.
    pub fn furnish(&mut self, doors: &mut [Door]) -> Result<(), Failure> {
        for door in doors {
            door.sockets = self.extract(Role::of(door.speaks), door.address);
        }
        for socket in &self.sockets {
            let address = socket.listener.local_addr().context("a socket has no address")?;
            if self.predecessor.is_none() {
                return Err(Failure::asked(format!(
                    "nothing is configured to listen at {address}, where the service manager has opened a socket"
                ))
                .hint("give it FileDescriptorName=http, https or admin, or the address that gateway.bind and gateway.port name"));
            }
            tracing::info!(%address, "no longer listening here");
        }
        Ok(())
    }

    /// The operator's socket, if there is one for this address. To be asked before the doors are furnished.
    pub fn admin(&mut self, address: SocketAddr) -> Option<TcpListener> {
        self.extract(Role::Admin, address).pop()
    }

    fn extract(&mut self, role: Role, address: SocketAddr) -> Vec<TcpListener> {
        let meant = self.sockets.extract_if(.., |socket| socket.is_for(role, address));
        meant.map(|socket| socket.listener).collect()
    }

    /// The claim on the data directory, and the soft limit of open files as it was before anybody raised it.
    pub fn claim(&mut self) -> Option<File> {
        self.claim.take()
    }

    pub fn open_files(&self) -> Option<u64> {
        self.open_files
    }
}

impl Socket {
    fn is_for(&self, role: Role, address: SocketAddr) -> bool {
        match (self.role, self.asked) {
            (Some(own), _) if own != role => false,
            // Named by the service manager's unit: wherever it is.
            (Some(_), None) => true,
            (_, asked) => asked == Some(address) || self.listener.local_addr().is_ok_and(|own| is_same(own, address)),
        }
    }
}

/// Whether whoever asked for one address has been given the other. Service managers open both families at once.
fn is_same(given: SocketAddr, asked: SocketAddr) -> bool {
    let everywhere = given.ip().is_unspecified() && asked.ip().is_unspecified();
    given.port() == asked.port() && (everywhere || given.ip().to_canonical() == asked.ip().to_canonical())
}

fn role(name: &str) -> Option<Role> {
    match name {
        "http" => Some(Role::Http),
        "https" => Some(Role::Https),
        "admin" => Some(Role::Admin),
        _ => None,
    }
}

/// Whom we take over from.
pub struct Predecessor(Channel);

impl Predecessor {
    /// Says that we are ready, and returns when connections are ours to take. A predecessor that is gone needs no asking.
    pub async fn asked_to_go(&self) -> Result<(), Failure> {
        let asked = async {
            self.0.send(&ToPredecessor::Ready, &[]).await?;
            self.0.receive::<ToSuccessor>().await
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok((ToSuccessor::Go, _))) => Ok(()),
            Ok(Ok(_)) => Err(Failure::failed(anyhow!("our predecessor speaks another language: is it another version?"))),
            Ok(Err(error)) => {
                tracing::warn!(%error, "our predecessor is gone: we serve without its word");
                Ok(())
            }
            Err(_) => Err(Failure::failed(anyhow!("our predecessor does not let us go on"))),
        }
    }

    /// Says that we serve: it may go.
    pub async fn serving(self) {
        if let Err(error) = self.0.send(&ToPredecessor::Serving, &[]).await {
            tracing::warn!(%error, "our predecessor cannot be told that we serve");
        }
        // The line was our standard input. From here on we have none, as befits a service.
        let silenced = File::open("/dev/null").and_then(|null| Ok(rustix::stdio::dup2_stdin(&null)?));
        if let Err(error) = silenced {
            tracing::warn!(%error, "cannot close the line to our predecessor");
        }
    }
}

/// Lets a predecessor know why we end, if we have one that still waits.
pub fn tell_predecessor(environment: &Environment, failure: &Failure) {
    if environment.is_successor() {
        let failed = ToPredecessor::Failed(failure.to_string());
        let words = serde_json::to_vec(&failed).expect("text can be written as JSON");
        // It may have stopped waiting long ago; the same stands on standard error.
        let _ = channel::send(rustix::stdio::stdin(), &words, &[]);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use plimsoll_gateway::config::Speaks;

    use super::*;

    fn socket(role: Option<Role>, asked: Option<&str>) -> (Socket, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (Socket { role, asked: asked.map(|asked| asked.parse().unwrap()), listener }, address)
    }

    fn door(address: SocketAddr, speaks: Speaks) -> Door {
        Door { address, speaks, sockets: Vec::new() }
    }

    #[test]
    fn a_socket_goes_to_the_door_it_is_named_after_or_stands_at() {
        let elsewhere: SocketAddr = "0.0.0.0:8080".parse().unwrap();
        let (https, _) = socket(Some(Role::Https), None);
        let (unnamed, here) = socket(None, None);
        let (admin, there) = socket(None, None);
        let mut inherited = Inherited { sockets: vec![https, unnamed, admin], ..Inherited::default() };
        assert_eq!(inherited.admin(there).unwrap().local_addr().unwrap(), there);
        let mut doors = [door(here, Speaks::Http), door(elsewhere, Speaks::Https)];
        inherited.furnish(&mut doors).unwrap();
        assert_eq!(doors.map(|door| door.sockets.len()), [1, 1]);
    }

    #[test]
    fn a_socket_that_nobody_wants_is_a_mistake() {
        let (unnamed, _) = socket(None, None);
        let mut inherited = Inherited { sockets: vec![unnamed], ..Inherited::default() };
        let failure = inherited.furnish(&mut [door("127.0.0.1:1".parse().unwrap(), Speaks::Http)]).unwrap_err();
        assert!(failure.to_string().contains("FileDescriptorName="), "{failure}");
    }

    #[test]
    fn any_free_port_stays_the_one_that_was_found() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let (first, _) = socket(Some(Role::Http), Some("127.0.0.1:0"));
        let (second, _) = socket(Some(Role::Http), Some("127.0.0.1:0"));
        let mut inherited = Inherited { sockets: vec![first, second], ..Inherited::default() };
        let mut doors = [door(any, Speaks::Http)];
        inherited.furnish(&mut doors).unwrap();
        assert_eq!(doors[0].sockets.len(), 2);
    }

    #[test]
    fn everywhere_is_everywhere_in_either_family() {
        let check = |given: &str, asked: &str| is_same(given.parse().unwrap(), asked.parse().unwrap());
        assert!(check("[::]:80", "0.0.0.0:80") && check("127.0.0.1:80", "127.0.0.1:80") && check("[::ffff:127.0.0.1]:80", "127.0.0.1:80"));
        assert!(!check("[::]:80", "127.0.0.1:80") && !check("[::]:81", "0.0.0.0:80"));
    }
}
