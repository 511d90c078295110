//! Opening what lies beneath a directory, and nothing else.
//!
//! The kernel resolves the path and refuses to leave the directory on the way, through symbolic links too, however the tree changes meanwhile.
//! Checking a path first and opening it then could be raced.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::Error;

/// The kernel gives up on a look-up when something is renamed meanwhile; then it is asked again.
const TRIES_MAX: u32 = 8;

/// The directory, only to look things up in it.
pub(super) fn directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// A file or directory beneath it; `None` if there is nothing of this name that may be read.
pub(super) fn beneath(directory: &OwnedFd, path: &Path) -> io::Result<Option<File>> {
    // A pipe would wait for somebody to write, a terminal would become ours.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    for _ in 0..TRIES_MAX {
        return match openat2(directory, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::AGAIN | Errno::INTR) => continue,
            Err(
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV | Errno::NAMETOOLONG | Errno::NXIO | Errno::ACCESS | Errno::PERM,
            ) => Ok(None),
            Err(error) => Err(error.into()),
        };
    }
    Ok(None)
}

/// Whether files can be served from here at all.
pub(super) fn try_out(path: &Path) -> Result<(), Error> {
    let directory = directory(path).map_err(|error| Error::Directory(path.to_owned(), error))?;
    let looked = openat2(&directory, ".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::BENEATH);
    looked.map(drop).map_err(|error| Error::Kernel(error.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    fn read(directory: &OwnedFd, path: &str) -> Option<String> {
        let mut text = String::new();
        beneath(directory, Path::new(path)).unwrap()?.read_to_string(&mut text).unwrap();
        Some(text)
    }

    #[test]
    fn links_are_followed_within_and_not_out_of_the_directory() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("root");
        std::fs::create_dir_all(root.join("releases/2")).unwrap();
        std::fs::write(place.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("releases/2/app.js"), "app").unwrap();
        symlink("releases/2", root.join("current")).unwrap();
        symlink("../secret", root.join("up")).unwrap();
        symlink(place.path().join("secret"), root.join("absolute")).unwrap();
        symlink("..", root.join("releases/2/parent")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        let directory = directory(&root).unwrap();
        assert_eq!(read(&directory, "current/app.js").as_deref(), Some("app"));
        assert_eq!(read(&directory, "current/parent/2/app.js").as_deref(), Some("app"));
        for path in ["up", "absolute", "../secret", "current/../../secret", "loop", "nothing", "releases/2/app.js/x", "/etc/passwd"] {
            assert_eq!(read(&directory, path), None, "{path}");
        }
        assert!(beneath(&directory, Path::new("")).unwrap().unwrap().metadata().unwrap().is_dir());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        for name in ["nothing", "file"] {
            assert!(matches!(try_out(&place.path().join(name)), Err(Error::Directory(..))), "{name}");
        }
        try_out(place.path()).unwrap();
    }
}
