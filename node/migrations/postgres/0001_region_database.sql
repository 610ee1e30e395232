-- The database of one region: its audit logs, replay entries, revocations and status lists.
-- Times are seconds since 1970. 64-bit numbers without a sign are kept as the signed integer of
-- the same bits. A released migration never changes: add another file.

-- One row: whose database this is.
CREATE TABLE region (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
);

-- One row for each node's log: the right edge of its tree, and who may write.
CREATE TABLE audit_log (
    log BIGINT NOT NULL PRIMARY KEY,
    writer_epoch BIGINT NOT NULL,
    size BIGINT NOT NULL,
    frontier BYTEA NOT NULL
);

CREATE TABLE audit_record (
    log BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    recorded_at BIGINT NOT NULL,
    record BYTEA NOT NULL,
    salt BYTEA NOT NULL,
    personal BYTEA,
    personal_salt BYTEA,
    personal_digest BYTEA NOT NULL,
    leaf BYTEA NOT NULL,
    PRIMARY KEY (log, seq),
    CHECK ((personal IS NULL) = (personal_salt IS NULL))
);

-- Finds what is still to be erased without reading what was.
CREATE INDEX audit_record_personal ON audit_record (log, recorded_at) WHERE personal IS NOT NULL;

CREATE TABLE replay (
    key BYTEA NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

CREATE INDEX replay_expiry ON replay (expires_at);

CREATE TABLE revocation (
    list_id BIGINT NOT NULL,
    list_index BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (list_id, list_index)
);

CREATE INDEX revocation_expiry ON revocation (expires_at);

CREATE TABLE status_list (
    list_id BIGINT NOT NULL PRIMARY KEY,
    drawn_at BIGINT NOT NULL
);

-- One row of as many bytes as some tens of records: writing it anew shows that there is space.
CREATE TABLE proof_of_space (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    filler BYTEA NOT NULL
);

-- Compressed it would take no space and prove nothing.
ALTER TABLE proof_of_space ALTER COLUMN filler SET STORAGE EXTERNAL;
