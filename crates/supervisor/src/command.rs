//! Looks for the command before anything starts: a typing mistake deserves one clear error, not a crash loop.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// Where the system looks without a PATH.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Checks that `program` can be found the way the system will look for it.
pub(crate) fn check(program: &OsStr, environment: &[(OsString, OsString)], working_dir: Option<&Path>) -> Result<(), Error> {
    let from_here = |path: &Path| working_dir.map_or_else(|| path.to_owned(), |dir| dir.join(path));
    if program.as_encoded_bytes().contains(&b'/') {
        return check_file(from_here(Path::new(program)));
    }
    let search = environment.iter().find(|(name, _)| name == "PATH").map_or(OsStr::new(DEFAULT_PATH), |(_, value)| value);
    let candidates: Vec<PathBuf> =
        std::env::split_paths(search).map(|dir| from_here(&dir.join(program))).filter(|path| path.is_file()).collect();
    match candidates.iter().find(|path| is_executable(path)).or(candidates.first()) {
        Some(path) if is_executable(path) => Ok(()),
        Some(path) => Err(Error::NotExecutable { path: path.clone() }),
        None => Err(Error::CommandNotFound { command: program.to_string_lossy().into_owned() }),
    }
}

fn check_file(path: PathBuf) -> Result<(), Error> {
    match () {
        () if !path.exists() => Err(Error::FileNotFound { path }),
        () if !path.is_file() || !is_executable(&path) => Err(Error::NotExecutable { path }),
        () => Ok(()),
    }
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(program: &str, search: &str, working_dir: Option<&Path>) -> Result<(), Error> {
        check(OsStr::new(program), &[("PATH".into(), search.into())], working_dir)
    }

    #[test]
    fn finds_programs_in_the_given_path_only() {
        checked("sh", "/nowhere:/bin", None).unwrap();
        let error = checked("sh", "/nowhere", None).unwrap_err();
        assert_eq!(error.to_string(), "command not found: `sh` is not in PATH");
        assert!(error.hint().unwrap().contains("virtualenv"));
    }

    #[test]
    fn looks_up_relative_files_from_the_working_directory() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("serve");
        assert!(matches!(checked("./serve", "", Some(dir.path())), Err(Error::FileNotFound { .. })));
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(matches!(checked("./serve", "", Some(dir.path())), Err(Error::NotExecutable { .. })));
        assert!(matches!(checked("serve", &dir.path().to_string_lossy(), None), Err(Error::NotExecutable { .. })));
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        checked("./serve", "", Some(dir.path())).unwrap();
    }
}
