//! What settings cannot be used, and that each says why.

use std::path::{Path, PathBuf};

use super::*;

/// A certificate with its key, as PEM.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["instance.test".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn write(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_file_that_vouches_for_nobody_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text, reason) in [("empty.pem", "", "it holds none"), ("broken.pem", "-----BEGIN CERTIFICATE-----\n!\n", "")] {
        let path = write(directory.path(), name, text);
        let error = client(&Roots::Only(path.clone()), None, &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read certificates from {}: {reason}", path.display())), "{error}");
    }
    let missing = directory.path().join("missing.pem");
    assert!(client(&Roots::Only(missing), None, &[]).unwrap_err().to_string().contains("missing.pem"));
}

#[test]
fn a_certificate_and_a_key_that_do_not_belong_together_are_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let ((one, key), (_, other)) = (pair(), pair());
    let identity =
        |key: &str| Identity { certificate: write(directory.path(), "client.pem", &one), key: write(directory.path(), "client.key", key) };
    assert!(client(&Roots::Anyone, Some(&identity(&key)), &[b"http/1.1"]).is_ok());
    assert!(client(&Roots::Anyone, Some(&identity(&other)), &[]).is_err());
    assert!(client(&Roots::Anyone, Some(&identity("no key")), &[]).unwrap_err().to_string().contains("client.key"));
}
