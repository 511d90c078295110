-- Expiry is milliseconds since 1970 by the clock of the host; NULL lives until deleted.

CREATE TABLE value (
    key TEXT PRIMARY KEY NOT NULL,
    bytes BLOB NOT NULL,
    version INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT;
CREATE INDEX value_expiry ON value (expires_ms) WHERE expires_ms IS NOT NULL;

CREATE TABLE counter (
    key TEXT PRIMARY KEY NOT NULL,
    sum INTEGER NOT NULL,
    expires_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX counter_expiry ON counter (expires_ms) WHERE expires_ms IS NOT NULL;

-- One row per item; numbers of one list grow by one, so the length of a list is a difference.
CREATE TABLE item (
    list TEXT NOT NULL,
    number INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (list, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE bucket (
    key TEXT PRIMARY KEY NOT NULL,
    full_at_us REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX bucket_expiry ON bucket (full_at_us);

CREATE TABLE lock (
    key TEXT PRIMARY KEY NOT NULL,
    fence INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT leaves no gaps here: a listener that finds one knows that it was too slow.
CREATE TABLE message (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel TEXT NOT NULL,
    bytes BLOB NOT NULL
) STRICT;

-- The source of versions and fences. It starts at the time in microseconds, so both keep growing when the file was thrown away.
CREATE TABLE sequence (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    last INTEGER NOT NULL
) STRICT;
INSERT INTO sequence VALUES (1, unixepoch() * 1000000);

PRAGMA user_version = 1;
