//! Why a fleet could not be started at all. What goes wrong later is an [`crate::Event`].

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no command given")]
    NoCommand,
    #[error("a fleet needs at least one instance")]
    NoInstances,
    #[error("command not found: `{command}` is not in PATH")]
    CommandNotFound { command: String },
    #[error("command not found: there is no file `{}`", path.display())]
    FileNotFound { path: PathBuf },
    #[error("`{}` may not be executed", path.display())]
    NotExecutable { path: PathBuf },
    #[error("the command asks for both {{port}} and {{socket}}: an instance listens on one of them")]
    BothPlaceholders,
    #[error("working directory `{}`", path.display())]
    WorkingDir { path: PathBuf, source: io::Error },
    #[error("socket directory `{}`", path.display())]
    SocketDir { path: PathBuf, source: io::Error },
    #[error("socket path `{}` is {} bytes long, the system takes at most {length_max}", path.display(), path.as_os_str().len())]
    SocketPathTooLong { path: PathBuf, length_max: usize },
    #[error("socket directory `{}` has a line break in its name", path.display())]
    SocketPathLineBreak { path: PathBuf },
    #[error("no free port on 127.0.0.1")]
    NoPort(#[source] io::Error),
    #[error("cannot start the guard process `{} __guard`", self_exe.display())]
    Guard { self_exe: PathBuf, source: io::Error },
    #[error("cannot start the supervisor's thread")]
    Thread(#[source] io::Error),
}

impl Error {
    /// What to change, when there is more to say than the error itself does.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoCommand => Some("put the server's command after `--`"),
            Self::CommandNotFound { .. } => {
                Some("is it installed, and is the virtualenv active? a script in this directory needs `./` in front")
            }
            Self::FileNotFound { .. } => Some("a relative path is looked up from the working directory"),
            Self::NotExecutable { .. } => Some("make it executable with `chmod +x`, or put its interpreter in front"),
            Self::BothPlaceholders => Some("remove one of the two"),
            Self::SocketPathTooLong { .. } | Self::SocketPathLineBreak { .. } => Some("choose another data directory"),
            _ => None,
        }
    }
}
