//! Which file a successor is started from: the one we were started from, by name. What is there by now may be another version; that is the
//! point.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{self, Path, PathBuf};

use crate::config::Environment;

#[derive(Clone, Debug)]
pub struct Binary {
    pub file: PathBuf,
    pub arguments: Vec<OsString>,
}

impl Binary {
    /// Must be asked for at the start: later the working directory may be another, and our own file may be gone.
    pub fn of_process(environment: &Environment) -> Self {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let found = find(Path::new(&name), environment.get("PATH").unwrap_or_default());
        let file = found.or_else(|| env::current_exe().ok()).unwrap_or_else(|| name.into());
        Self { file, arguments: arguments.collect() }
    }
}

/// As a shell finds it. Links are not followed: whoever installs versions side by side moves a link.
fn find(name: &Path, search: &OsStr) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return path::absolute(name).ok().filter(|file| file.is_file());
    }
    env::split_paths(search).map(|directory| directory.join(name)).find(|file| file.is_absolute() && file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_stays_a_link_and_a_bare_name_is_looked_for() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("plimsoll-1"), directory.path().join("plimsoll"));
        std::fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert_eq!(find(&link, OsStr::new("")), Some(link.clone()));
        let search = env::join_paths(["/nowhere".as_ref(), directory.path()]).unwrap();
        assert_eq!(find(Path::new("plimsoll"), &search), Some(link));
        assert_eq!(find(Path::new("plimsoll"), OsStr::new("/nowhere")), None);
    }
}
