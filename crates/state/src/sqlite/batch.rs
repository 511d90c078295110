//! The statements that change something. All run inside one transaction that other calls share; see `writer`.

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};

use crate::backend::{TokenBucket, Tokens, Version};
use crate::gcra;

/// Messages kept for listeners that have not looked yet; who is further behind is told that it missed some.
const MESSAGES_KEPT: u64 = 10_000;
/// Rows of each table deleted in one go, so that clearing up never delays a caller by more than a millisecond or so.
const PURGE_ROWS: u64 = 500;

/// One transaction, its moment, and the store-wide sequence.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    now_us: u64,
    last_in_sequence: u64,
    sequence_moved: bool,
}

impl<'a> Batch<'a> {
    /// Waits until no other process writes.
    pub(super) fn begin(connection: &'a Connection) -> rusqlite::Result<Self> {
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let mut batch = Self { connection, now_us: super::now_us(), last_in_sequence: 0, sequence_moved: false };
        batch.last_in_sequence = batch.one("SELECT last FROM sequence", [])?.unwrap_or_default();
        Ok(batch)
    }

    pub(super) fn commit(self) -> rusqlite::Result<()> {
        if self.sequence_moved {
            self.run("UPDATE sequence SET last = ?1", [self.last_in_sequence])?;
        }
        self.run("COMMIT", [])?;
        Ok(())
    }

    pub(super) fn set(&mut self, key: &str, bytes: &[u8], ttl_ms: Option<u64>) -> rusqlite::Result<Version> {
        let version = self.next_in_sequence();
        let expires_ms = ttl_ms.map(|ttl_ms| self.now_ms() + ttl_ms);
        self.run(
            "INSERT INTO value (key, bytes, version, expires_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes, version = excluded.version, expires_ms = excluded.expires_ms",
            params![key, bytes, version, expires_ms],
        )?;
        Ok(Version(version))
    }

    pub(super) fn compare_and_set(
        &mut self,
        key: &str,
        expected: Option<Version>,
        bytes: &[u8],
        ttl_ms: Option<u64>,
    ) -> rusqlite::Result<Option<Version>> {
        let found: Option<u64> =
            self.one("SELECT version FROM value WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)", params![key, self.now_ms()])?;
        if found.map(Version) == expected { self.set(key, bytes, ttl_ms).map(Some) } else { Ok(None) }
    }

    pub(super) fn touch(&mut self, key: &str, ttl_ms: u64) -> rusqlite::Result<bool> {
        let now_ms = self.now_ms();
        self.run(
            "UPDATE value SET expires_ms = ?3 WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)",
            params![key, now_ms, now_ms + ttl_ms],
        )
    }

    pub(super) fn delete(&mut self, key: &str) -> rusqlite::Result<bool> {
        let alive =
            self.one("DELETE FROM value WHERE key = ?1 RETURNING expires_ms IS NULL OR expires_ms > ?2", params![key, self.now_ms()])?;
        Ok(alive.unwrap_or(false))
    }

    /// `None`: the sum would not fit.
    pub(super) fn increment(&mut self, key: &str, by: i64, ttl_ms: Option<u64>) -> rusqlite::Result<Option<i64>> {
        let now_ms = self.now_ms();
        let sum: Option<i64> =
            self.one("SELECT sum FROM counter WHERE key = ?1 AND (expires_ms IS NULL OR expires_ms > ?2)", params![key, now_ms])?;
        let Some(sum) = sum else {
            let expires_ms = ttl_ms.map(|ttl_ms| now_ms + ttl_ms);
            self.run("INSERT OR REPLACE INTO counter (key, sum, expires_ms) VALUES (?1, ?2, ?3)", params![key, by, expires_ms])?;
            return Ok(Some(by));
        };
        let Some(sum) = sum.checked_add(by) else { return Ok(None) };
        self.run("UPDATE counter SET sum = ?2 WHERE key = ?1", params![key, sum])?;
        Ok(Some(sum))
    }

    pub(super) fn list_push(&mut self, list: &str, item: &[u8], length_max: usize) -> rusqlite::Result<()> {
        let newest: Option<u64> = self.one("SELECT max(number) FROM item WHERE list = ?1", [list])?.flatten();
        // Numbers start above any length, so that the oldest one kept never falls below zero.
        let number = newest.map_or(1 << 32, |newest| newest + 1);
        self.run("INSERT INTO item (list, number, bytes) VALUES (?1, ?2, ?3)", params![list, number, item])?;
        self.run("DELETE FROM item WHERE list = ?1 AND number <= ?2", params![list, number - length_max as u64])?;
        Ok(())
    }

    pub(super) fn take_tokens(&mut self, key: &str, bucket: TokenBucket, cost: u32) -> rusqlite::Result<Tokens> {
        let full_at_us: Option<f64> = self.one("SELECT full_at_us FROM bucket WHERE key = ?1", [key])?;
        let decision = gcra::take(full_at_us.unwrap_or_default(), self.now_us as f64, bucket, cost);
        if decision.tokens.taken {
            self.run("INSERT OR REPLACE INTO bucket (key, full_at_us) VALUES (?1, ?2)", params![key, decision.full_at_us])?;
        }
        Ok(decision.tokens)
    }

    pub(super) fn publish(&mut self, channel: &str, bytes: &Bytes) -> rusqlite::Result<()> {
        self.run("INSERT INTO message (channel, bytes) VALUES (?1, ?2)", params![channel, &bytes[..]])?;
        let id = self.connection.last_insert_rowid() as u64;
        self.run("DELETE FROM message WHERE id <= ?1", [id.saturating_sub(MESSAGES_KEPT)])?;
        Ok(())
    }

    /// The fence of a lock that was free.
    pub(super) fn lock(&mut self, key: &str, lease_ms: u64) -> rusqlite::Result<Option<u64>> {
        let now_ms = self.now_ms();
        if self.one::<bool>("SELECT TRUE FROM lock WHERE key = ?1 AND expires_ms > ?2", params![key, now_ms])?.is_some() {
            return Ok(None);
        }
        let fence = self.next_in_sequence();
        self.run("INSERT OR REPLACE INTO lock (key, fence, expires_ms) VALUES (?1, ?2, ?3)", params![key, fence, now_ms + lease_ms])?;
        Ok(Some(fence))
    }

    pub(super) fn renew(&mut self, key: &str, fence: u64, lease_ms: u64) -> rusqlite::Result<bool> {
        let now_ms = self.now_ms();
        self.run(
            "UPDATE lock SET expires_ms = ?4 WHERE key = ?1 AND fence = ?2 AND expires_ms > ?3",
            params![key, fence, now_ms, now_ms + lease_ms],
        )
    }

    pub(super) fn unlock(&mut self, key: &str, fence: u64) -> rusqlite::Result<bool> {
        self.run("DELETE FROM lock WHERE key = ?1 AND fence = ?2 AND expires_ms > ?3", params![key, fence, self.now_ms()])
    }

    /// Deletes some of what has expired. True if there may be more.
    pub(super) fn purge(&mut self) -> rusqlite::Result<bool> {
        const EXPIRED: [&str; 4] = [
            "DELETE FROM value WHERE key IN (SELECT key FROM value WHERE expires_ms <= ?1 LIMIT ?2)",
            "DELETE FROM counter WHERE key IN (SELECT key FROM counter WHERE expires_ms <= ?1 LIMIT ?2)",
            "DELETE FROM bucket WHERE key IN (SELECT key FROM bucket WHERE full_at_us <= ?1 * 1000 LIMIT ?2)",
            "DELETE FROM lock WHERE key IN (SELECT key FROM lock WHERE expires_ms <= ?1 LIMIT ?2)",
        ];
        let mut more = false;
        for statement in EXPIRED {
            let deleted = self.connection.prepare_cached(statement)?.execute(params![self.now_ms(), PURGE_ROWS])?;
            more |= deleted as u64 == PURGE_ROWS;
        }
        Ok(more)
    }

    fn next_in_sequence(&mut self) -> u64 {
        self.sequence_moved = true;
        self.last_in_sequence += 1;
        self.last_in_sequence
    }

    fn now_ms(&self) -> u64 {
        self.now_us / 1000
    }

    /// True if a row changed.
    fn run(&self, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<bool> {
        Ok(self.connection.prepare_cached(statement)?.execute(params)? > 0)
    }

    fn one<T: rusqlite::types::FromSql>(&self, statement: &str, params: impl rusqlite::Params) -> rusqlite::Result<Option<T>> {
        self.connection.prepare_cached(statement)?.query_row(params, |row| row.get(0)).optional()
    }
}
