//! The data directory: one fleet's lock, control socket, state and generated secrets.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};

use crate::config::{Secret, Settings};
use crate::report::Failure;

/// A data directory that exists and may be written to.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

/// Held for as long as the fleet runs; the kernel lets go of it even after a `kill -9`.
#[derive(Debug)]
pub struct Claim(File);

impl Claim {
    /// For a process that takes over. The claim ends with the last of those that share it.
    pub fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }
}

impl DataDir {
    /// Makes the directory if it is missing, readable for nobody else.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        let hint = "choose another directory with --data-dir, or change the owner of this one";
        made.with_context(|| format!("cannot make the data directory `{}`", path.display()))
            .map_err(|error| Failure::failed(error).hint(hint))?;
        let path = path.canonicalize().with_context(|| format!("cannot read the data directory `{}`", path.display()))?;
        let probe = path.join(".writable");
        let written = File::create(&probe).and_then(|_| fs::remove_file(&probe));
        written
            .with_context(|| format!("cannot write to the data directory `{}`", path.display()))
            .map_err(|error| Failure::failed(error).hint(hint))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// By which operator verbs find the fleet.
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.0)
    }

    /// Makes sure that no other fleet uses this directory. A claim that a predecessor shares with us is as good, if it is on this directory.
    pub fn claim(&self, shared: Option<File>) -> Result<Claim, Failure> {
        let path = self.0.join("lock");
        let is_ours = |file: &File| {
            let identity = |about: fs::Metadata| (about.dev(), about.ino());
            file.metadata().and_then(|shared| Ok(identity(shared) == identity(path.metadata()?))).unwrap_or(false)
        };
        if let Some(shared) = shared.filter(is_ours) {
            return Ok(Claim(shared));
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("cannot open `{}`", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Claim(file)),
            Err(TryLockError::WouldBlock) => {
                Err(Failure::failed(anyhow!("a fleet is already running with the data directory `{}`", self.0.display()))
                    .hint("look at it with `plimsoll status`, or start a second one with --data-dir and other ports"))
            }
            Err(TryLockError::Error(error)) => Err(anyhow!(error).context(format!("cannot lock `{}`", path.display())).into()),
        }
    }

    /// The state that instances of this host share, unless another was configured.
    pub fn state_url(&self, settings: &Settings) -> String {
        match settings.state.url.as_str() {
            "" => format!("sqlite:{}", self.0.join("state.db").display()),
            url => url.to_owned(),
        }
    }

    /// The configured session keys, or the one that is generated once and kept here.
    pub fn session_keys(&self, settings: &Settings) -> Result<Vec<String>, Failure> {
        let configured = &settings.service.session_keys;
        if !configured.is_empty() {
            return Ok(configured.iter().map(Secret::expose).map(str::to_owned).collect());
        }
        let path = self.0.join("session.key");
        let key = read_or_generate(&path).with_context(|| format!("cannot read or make the session key `{}`", path.display()))?;
        Ok(vec![key])
    }
}

pub fn socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join("plimsoll.sock")
}

fn read_or_generate(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => return read.map(|key| key.trim().to_owned()),
    }
    let mut random = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let key = random.iter().fold(String::new(), |key, byte| key + &format!("{byte:02x}"));
    // Written aside and linked: of several instances that start at once, one makes the key and none sees half of it.
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&aside)?;
    file.write_all(key.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&aside, path);
    fs::remove_file(&aside)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path).map(|key| key.trim().to_owned()),
        linked => linked.map(|()| key),
    }
}
