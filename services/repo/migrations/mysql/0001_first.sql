-- Ids are Snowflakes, below 2^63. Times are Unix milliseconds. Collations are binary: names and ids are compared as bytes.
CREATE TABLE IF NOT EXISTS users (
    user_id       BIGINT NOT NULL PRIMARY KEY,
    name          VARCHAR(64) NOT NULL,
    display_name  VARCHAR(128) NOT NULL,
    password_hash VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    created_at_ms BIGINT NOT NULL,
    UNIQUE KEY users_name (name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS sessions (
    session_id    BIGINT NOT NULL PRIMARY KEY,
    user_id       BIGINT NOT NULL,
    device        VARCHAR(128) NOT NULL,
    refresh_hash  VARBINARY(64) NOT NULL,
    expires_at_ms BIGINT NOT NULL,
    revoked       BIGINT NOT NULL,
    KEY sessions_user (user_id, expires_at_ms)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- No last seq here: it would be a hot row written with every message. It is read off the key of messages.
CREATE TABLE IF NOT EXISTS conversations (
    conversation_id BIGINT NOT NULL PRIMARY KEY,
    kind            BIGINT NOT NULL,
    title           VARCHAR(255) NOT NULL,
    direct_key      VARCHAR(41) CHARACTER SET ascii COLLATE ascii_bin NULL,
    members_version BIGINT NOT NULL,
    member_count    BIGINT NOT NULL,
    created_at_ms   BIGINT NOT NULL,
    UNIQUE KEY conversations_direct (direct_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE IF NOT EXISTS members (
    conversation_id BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    role            BIGINT NOT NULL,
    read_seq        BIGINT NOT NULL,
    joined_at_ms    BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, user_id),
    KEY members_user (user_id, conversation_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- messages_sent covers retention and the counters, messages_client is what makes a replay harmless.
CREATE TABLE IF NOT EXISTS messages (
    conversation_id BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    message_id      BIGINT NOT NULL,
    sender_id       BIGINT NOT NULL,
    client_msg_id   VARCHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sent_at_ms      BIGINT NOT NULL,
    body            MEDIUMTEXT NOT NULL,
    PRIMARY KEY (conversation_id, seq),
    UNIQUE KEY messages_client (conversation_id, sender_id, client_msg_id),
    KEY messages_sent (sent_at_ms, sender_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
