//! What is read of certificates by us, and not by the library that verifies them.

use std::time::SystemTime;

use tokio_rustls::rustls::pki_types::CertificateDer;

use crate::tls::{Validity, subject_of};

/// A certificate in DER: whatever it says, its subject is one short line, and its dates are dates.
pub fn certificate(data: &[u8]) {
    let subject = subject_of(&CertificateDer::from(data));
    assert!(subject.len() <= 256 && !subject.contains(char::is_control), "{subject:?}");
    if let Some(validity) = Validity::of(data) {
        let left = validity.left(SystemTime::UNIX_EPOCH);
        assert_eq!(left.is_some(), validity.not_after > SystemTime::UNIX_EPOCH);
    }
}
