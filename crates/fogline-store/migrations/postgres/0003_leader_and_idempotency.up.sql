-- Who may write, and what was answered before. leader has one row, made by the first take-over.
CREATE TABLE leader (
    singleton  INTEGER     NOT NULL PRIMARY KEY CHECK (singleton = 1),
    cluster_id UUID        NOT NULL,
    epoch      BIGINT      NOT NULL CHECK (epoch >= 1),
    holder     TEXT        NOT NULL,
    revision   BIGINT      NOT NULL CHECK (revision >= 1),
    renewed_at TIMESTAMPTZ NOT NULL
);

CREATE TABLE idempotency_keys (
    user_id     UUID        NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key         TEXT        COLLATE "C" NOT NULL,
    fingerprint BYTEA       NOT NULL CHECK (length(fingerprint) = 32),
    outcome     JSONB       NOT NULL,
    created_at  TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
