-- The same as mysql/0001_first.sql. SQLite compares text as bytes by default. WITHOUT ROWID stores rows in the order of their key.
CREATE TABLE IF NOT EXISTS users (
    user_id       INTEGER NOT NULL PRIMARY KEY,
    name          TEXT NOT NULL UNIQUE,
    display_name  TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS sessions (
    session_id    INTEGER NOT NULL PRIMARY KEY,
    user_id       INTEGER NOT NULL,
    device        TEXT NOT NULL,
    refresh_hash  BLOB NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    revoked       INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_user ON sessions (user_id, expires_at_ms);

CREATE TABLE IF NOT EXISTS conversations (
    conversation_id INTEGER NOT NULL PRIMARY KEY,
    kind            INTEGER NOT NULL,
    title           TEXT NOT NULL,
    direct_key      TEXT NULL UNIQUE,
    members_version INTEGER NOT NULL,
    member_count    INTEGER NOT NULL,
    created_at_ms   INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS members (
    conversation_id INTEGER NOT NULL,
    user_id         INTEGER NOT NULL,
    role            INTEGER NOT NULL,
    read_seq        INTEGER NOT NULL,
    joined_at_ms    INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_user ON members (user_id, conversation_id);

CREATE TABLE IF NOT EXISTS messages (
    conversation_id INTEGER NOT NULL,
    seq             INTEGER NOT NULL,
    message_id      INTEGER NOT NULL,
    sender_id       INTEGER NOT NULL,
    client_msg_id   TEXT NOT NULL,
    sent_at_ms      INTEGER NOT NULL,
    body            TEXT NOT NULL,
    PRIMARY KEY (conversation_id, seq)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS messages_client ON messages (conversation_id, sender_id, client_msg_id);
CREATE INDEX IF NOT EXISTS messages_sent ON messages (sent_at_ms, sender_id);
