-- Who may write, and what was answered before. leader has one row, made by the first take-over.
CREATE TABLE leader (
    singleton  INTEGER NOT NULL PRIMARY KEY CHECK (singleton = 1),
    cluster_id TEXT    NOT NULL,
    epoch      BIGINT  NOT NULL CHECK (epoch >= 1),
    holder     TEXT    NOT NULL,
    revision   BIGINT  NOT NULL CHECK (revision >= 1),
    renewed_at BIGINT  NOT NULL
);

CREATE TABLE idempotency_keys (
    user_id     TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
    key         TEXT   NOT NULL,
    fingerprint BLOB   NOT NULL CHECK (length(fingerprint) = 32),
    outcome     TEXT   NOT NULL CHECK (json_valid(outcome)),
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
