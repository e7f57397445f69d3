-- People, their logins, the machines, and who did what.
-- Ids are UUIDs as text, times are microseconds since 1970. References are checked at the end of a transaction: one that
-- is checked at once makes SQLite keep a copy of each page that a statement touches, which costs a third of the speed.
CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    username      TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL CHECK (role IN ('admin', 'user', 'viewer')),
    tier          TEXT    NOT NULL CHECK (tier IN ('free', 'pro', 'enterprise')),
    disabled      INTEGER NOT NULL CHECK (disabled IN (0, 1)),
    created_at    BIGINT  NOT NULL,
    updated_at    BIGINT  NOT NULL
);
CREATE UNIQUE INDEX uq_users_username ON users (username);

CREATE TABLE sessions (
    id                    TEXT   NOT NULL PRIMARY KEY,
    user_id               TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    refresh_hash          BLOB   NOT NULL CHECK (length(refresh_hash) = 32),
    created_at            BIGINT NOT NULL,
    expires_at            BIGINT NOT NULL,
    revoked_at            BIGINT
);
CREATE INDEX ix_sessions_user_id ON sessions (user_id);
CREATE INDEX ix_sessions_expires_at ON sessions (expires_at);

-- node_id is the name that people know a node by; other tables refer to id.
CREATE TABLE nodes (
    id         TEXT    NOT NULL PRIMARY KEY,
    node_id    TEXT    NOT NULL,
    region     TEXT    NOT NULL,
    zone       TEXT    NOT NULL,
    cpu_cores  FLOAT   NOT NULL CHECK (cpu_cores >= 0),
    memory_mb  INTEGER NOT NULL CHECK (memory_mb >= 0),
    gpu_units  INTEGER NOT NULL CHECK (gpu_units >= 0),
    storage_gb INTEGER NOT NULL CHECK (storage_gb >= 0),
    runtimes   TEXT    NOT NULL,
    labels     TEXT    NOT NULL CHECK (json_valid(labels)),
    liveness   TEXT    NOT NULL CHECK (liveness IN ('online', 'offline')),
    cordoned   INTEGER NOT NULL CHECK (cordoned IN (0, 1)),
    draining   INTEGER NOT NULL CHECK (draining IN (0, 1)),
    created_at BIGINT  NOT NULL,
    updated_at BIGINT  NOT NULL
);
CREATE UNIQUE INDEX uq_nodes_node_id ON nodes (node_id);

-- No foreign keys: the log outlives those it tells of.
CREATE TABLE audit_logs (
    id         TEXT   NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT,
    actor_name TEXT   NOT NULL,
    action     TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    outcome    TEXT   NOT NULL,
    remote     TEXT,
    detail     TEXT   NOT NULL
);
CREATE TRIGGER audit_logs_no_update BEFORE UPDATE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs is append-only: a line is never changed');
END;
CREATE TRIGGER audit_logs_no_delete BEFORE DELETE ON audit_logs
BEGIN
    SELECT RAISE(ABORT, 'audit_logs is append-only: a line is never removed');
END;
