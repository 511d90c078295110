//! What must survive a restart: the account, the certificates, the record of orders. One folder for each authority, readable for nobody else.
//!
//! ```text
//! data_dir/acme/lock                          who may order
//! data_dir/acme/AUTHORITY/account.json        the account and its key
//! data_dir/acme/AUTHORITY/certificates/NAME.pem   chain and key, in one file that is replaced whole
//! data_dir/acme/AUTHORITY/orders/NAME.json    the orders of the last hour, and what came of the last one
//! ```

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use instant_acme::AccountCredentials;
use plimsoll_gateway::tls::{Certificate, Files};

use super::order::Issued;
use super::schedule::Record;

/// A folder's name is no longer than file systems allow.
const AUTHORITY_CHARS_MAX: usize = 200;

pub(super) struct Cabinet {
    lock: PathBuf,
    folder: PathBuf,
}

/// While it is held, nobody else orders for this data directory. The kernel lets go of it whatever happens.
pub(super) struct Claim {
    _file: File,
}

impl Cabinet {
    /// The folder of an authority, made if it is missing.
    pub(super) fn open(data_dir: &Path, directory: &str) -> Result<Self> {
        let all = data_dir.join("acme");
        let cabinet = Self { lock: all.join("lock"), folder: all.join(folder_name(directory)) };
        for folder in [cabinet.folder.join("certificates"), cabinet.folder.join("orders")] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
            made.with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(cabinet)
    }

    /// `None`: somebody else has it.
    pub(super) fn claim(&self) -> Result<Option<Claim>> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.lock);
        let file = file.with_context(|| format!("cannot open {}", self.lock.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Claim { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", self.lock.display())),
        }
    }

    pub(super) fn account(&self) -> Result<Option<AccountCredentials>> {
        let path = self.account_file();
        let Some(text) = read(&path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("{} holds no account", path.display()))
    }

    pub(super) fn keep_account(&self, account: &AccountCredentials) -> Result<()> {
        write(&self.account_file(), &serde_json::to_string(account).context("an account cannot be written down")?)
    }

    /// The authority does not know it any more. Its key is put aside, not thrown away.
    pub(super) fn put_account_aside(&self) -> Result<()> {
        let path = self.account_file();
        fs::rename(&path, path.with_extension("old.json")).with_context(|| format!("cannot rename {}", path.display()))
    }

    fn account_file(&self) -> PathBuf {
        self.folder.join("account.json")
    }

    /// The certificate for a name; `None` if there is none yet.
    pub(super) fn certificate(&self, name: &str) -> Result<Option<Certificate>> {
        let path = self.certificate_file(name);
        if path.try_exists().with_context(|| format!("cannot look at {}", path.display()))? {
            examine(name, &path).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Puts a certificate in the place of the one before, if it is what was asked for.
    pub(super) fn keep(&self, name: &str, issued: &Issued) -> Result<Arc<Certificate>> {
        let path = self.certificate_file(name);
        let new = aside(&path, &format!("{}\n{}", issued.chain.trim_end(), issued.key))?;
        let certificate = examine(name, &new).context("the authority issued something else than a certificate that can be used")?;
        ensure!(
            certificate.validity().left(SystemTime::now()).is_some(),
            "the certificate that was issued has ended already; is the clock right?"
        );
        replace(&new, &path)?;
        Ok(Arc::new(examine(name, &path)?))
    }

    fn certificate_file(&self, name: &str) -> PathBuf {
        self.folder.join("certificates").join(format!("{name}.pem"))
    }

    /// What is remembered of the orders for a name. What cannot be read is as good as nothing.
    pub(super) fn record(&self, name: &str) -> Record {
        let path = self.record_file(name);
        let known = read(&path).and_then(|text| text.map_or_else(|| Ok(Record::default()), |text| Ok(serde_json::from_str(&text)?)));
        known.unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), error = format!("{error:#}"), "the record of orders cannot be read");
            Record::default()
        })
    }

    pub(super) fn keep_record(&self, name: &str, record: &Record) -> Result<()> {
        write(&self.record_file(name), &serde_json::to_string(record).context("orders cannot be written down")?)
    }

    fn record_file(&self, name: &str) -> PathBuf {
        self.folder.join("orders").join(format!("{name}.json"))
    }
}

/// A certificate that is for the name, with its key.
fn examine(name: &str, path: &Path) -> Result<Certificate> {
    let certificate = Files { chain: path.to_owned(), key: path.to_owned() }.load()?;
    if !certificate.names().iter().any(|covered| covered == name) {
        bail!("{} holds a certificate for {}, not for {name}", path.display(), certificate.names().join(" "));
    }
    Ok(certificate)
}

/// The authority's host and path as people recognise them. Two that differ in other characters only share a folder: nobody has two such.
fn folder_name(directory: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() || matches!(char, '.' | '-') { char.to_ascii_lowercase() } else { '_' };
    directory.trim_start_matches("https://").chars().take(AUTHORITY_CHARS_MAX).map(plain).collect()
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Nobody ever reads half of it, after a power cut neither.
fn write(path: &Path, text: &str) -> Result<()> {
    replace(&aside(path, text)?, path)
}

/// Writes beside a file. The mode is there from the first byte on.
fn aside(path: &Path, text: &str) -> Result<PathBuf> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let written = || {
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    written().with_context(|| format!("cannot write {}", new.display()))?;
    Ok(new)
}

fn replace(new: &Path, path: &Path) -> Result<()> {
    let folder = path.parent().expect("it has one");
    let replaced = fs::rename(new, path).and_then(|()| File::open(folder)?.sync_all());
    replaced.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::acme::setback::Setback;

    const DIRECTORY: &str = "https://CA.example.com:14000/acme/dir?x";

    fn issued(name: &str) -> Issued {
        let key = KeyPair::generate().unwrap();
        let chain = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem();
        Issued { chain, key: key.serialize_pem() }
    }

    #[test]
    fn what_was_kept_is_there_after_a_restart_and_for_nobody_else_to_read() {
        let directory = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(directory.path(), DIRECTORY).unwrap();
        assert!(cabinet.certificate("a.example").unwrap().is_none() && cabinet.account().unwrap().is_none());
        let kept = cabinet.keep("a.example", &issued("a.example")).unwrap();
        let mut record = Record::default();
        record.failed(&Setback::Failed(String::new()), SystemTime::now(), 0.5);
        cabinet.keep_record("a.example", &record).unwrap();

        let again = Cabinet::open(directory.path(), DIRECTORY).unwrap();
        assert_eq!(again.certificate("a.example").unwrap().unwrap().validity(), kept.validity());
        assert_eq!(again.record("a.example"), record);
        let folder = directory.path().join("acme/ca.example.com_14000_acme_dir_x");
        for (path, mode) in [("certificates/a.example.pem", 0o600), ("orders/a.example.json", 0o600), ("certificates", 0o700), ("", 0o700)]
        {
            assert_eq!(folder.join(path).metadata().unwrap().permissions().mode() & 0o777, mode, "{path}");
        }
    }

    #[test]
    fn what_was_not_asked_for_does_not_replace_what_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(directory.path(), DIRECTORY).unwrap();
        cabinet.keep("a.example", &issued("a.example")).unwrap();
        let (other, same) = (issued("b.example"), issued("a.example"));
        let foreign_key = Issued { chain: same.chain.clone(), key: other.key.clone() };
        let nothing = Issued { chain: String::new(), key: same.key };
        for wrong in [other, foreign_key, nothing] {
            assert!(cabinet.keep("a.example", &wrong).is_err());
        }
        assert!(cabinet.certificate("a.example").unwrap().is_some());
    }

    #[test]
    fn only_one_may_order() {
        let directory = tempfile::tempdir().unwrap();
        let one = Cabinet::open(directory.path(), DIRECTORY).unwrap();
        let other = Cabinet::open(directory.path(), "https://other.example/dir").unwrap();
        let claim = one.claim().unwrap().unwrap();
        assert!(other.claim().unwrap().is_none());
        drop(claim);
        assert!(other.claim().unwrap().is_some());
    }
}
