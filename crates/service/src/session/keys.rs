//! The secrets that sign session ids. The first signs, all are accepted: to rotate, put a new one in front, and drop the old one once
//! the sessions it signed have ended.

use std::fmt;
use std::sync::Arc;

use ::cookie::{Cookie, CookieJar, Key};

use super::SessionId;

/// Signing keys, first to last.
#[derive(Clone)]
pub struct SessionKeys(Arc<[Key]>);

/// Why secrets cannot be session keys.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("session keys are missing; give at least one secret of {} bytes or more", SessionKeys::SECRET_BYTES_MIN)]
    Missing,
    #[error("session key {position} has {length} bytes; use at least {}", SessionKeys::SECRET_BYTES_MIN)]
    TooShort { position: usize, length: usize },
}

impl SessionKeys {
    /// Shorter secrets could be guessed offline from a single cookie.
    pub const SECRET_BYTES_MIN: usize = 32;

    /// Keys derived from `secrets`, in their order.
    pub fn new(secrets: &[impl AsRef<[u8]>]) -> Result<Self, KeyError> {
        if secrets.is_empty() {
            return Err(KeyError::Missing);
        }
        let key = |(index, secret): (usize, &_)| {
            let secret: &[u8] = AsRef::as_ref(secret);
            let long_enough = secret.len() >= Self::SECRET_BYTES_MIN;
            long_enough.then(|| Key::derive_from(secret)).ok_or(KeyError::TooShort { position: index + 1, length: secret.len() })
        };
        secrets.iter().enumerate().map(key).collect::<Result<Vec<_>, _>>().map(|keys| Self(keys.into()))
    }

    /// The id with its signature.
    pub(crate) fn seal(&self, id: SessionId) -> String {
        let mut jar = CookieJar::new();
        jar.signed_mut(&self.0[0]).add(Cookie::new("", id.0.to_string()));
        jar.get("").expect("it was just added").value().to_owned()
    }

    /// The id, if any key signed it.
    pub(crate) fn open(&self, sealed: &str) -> Option<SessionId> {
        let jar = CookieJar::new();
        let verified = self.0.iter().find_map(|key| jar.signed(key).verify(Cookie::new("", sealed.to_owned())));
        SessionId::parse(verified?.value())
    }
}

/// Secrets are not printed.
impl fmt::Debug for SessionKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SessionKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_secrets_are_refused_by_position() {
        assert_eq!(SessionKeys::new(&[[1; 32].as_slice(), &[2; 31]]).unwrap_err(), KeyError::TooShort { position: 2, length: 31 });
        assert_eq!(SessionKeys::new(&[] as &[&str]).unwrap_err(), KeyError::Missing);
    }

    #[test]
    fn a_key_that_was_rotated_out_is_worth_nothing() {
        let old = SessionKeys::new(&[[1; 32]]).unwrap();
        let both = SessionKeys::new(&[[2; 32], [1; 32]]).unwrap();
        let new = SessionKeys::new(&[[2; 32]]).unwrap();
        let id = SessionId::generate();
        assert!(both.open(&old.seal(id)) == Some(id));
        assert!(new.open(&both.seal(id)) == Some(id), "the first key signs");
        assert!(new.open(&old.seal(id)).is_none());
    }
}
