//! Who is logged in. The client holds a signed id (`cookie`, [`keys`]); the record lives in shared state, so any instance can answer,
//! and deleting the record ends the session everywhere at once.
//!
//! Answers: no, unsigned, expired or logged out is 401; shared state unreachable is 503, never 401, because a client that is told to log
//! in again loses its work for nothing. The 401 carries no `WWW-Authenticate`: a cookie session is not an HTTP authentication scheme,
//! and browsers would answer a known one with a password box.

pub(crate) mod cookie;
pub mod keys;

use std::time::Duration;

use bytes::Bytes;
use plimsoll_state::{Result, State};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::timestamp;

pub use keys::SessionKeys;

/// Names a session; whoever knows it is logged in, so it is never logged.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionId(Uuid);

impl SessionId {
    fn generate() -> Self {
        Self(Uuid::new_v4())
    }

    fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }

    fn key(self) -> String {
        format!("session:{}", self.0)
    }
}

/// What is remembered about a logged-in user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) username: String,
    pub(crate) created_at: String,
}

/// A session that was found alive.
pub(crate) struct Resumed {
    pub(crate) id: SessionId,
    pub(crate) session: Session,
    /// Its time to live began anew, so the cookie's must too.
    pub(crate) refreshed: bool,
}

/// The sessions of the fleet.
pub(crate) struct Sessions {
    state: State,
    ttl: Duration,
}

impl Sessions {
    pub(crate) fn new(state: State, ttl: Duration) -> Self {
        Self { state, ttl }
    }

    /// Starts a session and ends those it replaces: an id from before the login, perhaps planted by somebody else, must not become
    /// worth more by it. The new record is written first; if ending the old one fails the client keeps what it had.
    pub(crate) async fn start(&self, username: String, replaced: &[SessionId]) -> Result<(SessionId, Session)> {
        let id = SessionId::generate();
        let session = Session { username, created_at: timestamp::now() };
        let record = serde_json::to_vec(&session).expect("a session holds only strings");
        self.state.set(&id.key(), record.into(), Some(self.ttl)).await?;
        self.end(replaced).await?;
        Ok((id, session))
    }

    /// The session behind the first of `ids` that is alive, with its life prolonged.
    pub(crate) async fn resume(&self, ids: &[SessionId]) -> Result<Option<Resumed>> {
        for id in ids {
            if let Some(resumed) = self.resume_one(*id).await? {
                return Ok(Some(resumed));
            }
        }
        Ok(None)
    }

    async fn resume_one(&self, id: SessionId) -> Result<Option<Resumed>> {
        let Some(value) = self.state.get(&id.key()).await? else { return Ok(None) };
        let Some(session) = decode(&value.bytes) else { return Ok(None) };
        if value.expires_in.is_some_and(|left| left >= self.refresh_below()) {
            return Ok(Some(Resumed { id, session, refreshed: false }));
        }
        match self.state.touch(&id.key(), self.ttl).await {
            Ok(true) => Ok(Some(Resumed { id, session, refreshed: true })),
            // Logged out by another request in between.
            Ok(false) => Ok(None),
            // The user is known already; a prolongation that failed can wait for the next request.
            Err(error) => {
                tracing::warn!(%error, "a session could not be prolonged");
                Ok(Some(Resumed { id, session, refreshed: false }))
            }
        }
    }

    /// Ends sessions; those that are gone already are fine.
    pub(crate) async fn end(&self, ids: &[SessionId]) -> Result<()> {
        for id in ids {
            self.state.delete(&id.key()).await?;
        }
        Ok(())
    }

    /// A session is prolonged at most 30 times in its time to live (once a minute by default): a busy client costs reads, not writes.
    fn refresh_below(&self) -> Duration {
        self.ttl / 30 * 29
    }
}

/// A record that cannot be read will never become readable: the user may log in again, and somebody should look at it.
fn decode(record: &Bytes) -> Option<Session> {
    serde_json::from_slice(record).inspect_err(|error| tracing::error!(%error, "a session record is unreadable")).ok()
}
