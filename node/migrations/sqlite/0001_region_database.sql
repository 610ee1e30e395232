-- The database of one region: its audit logs, replay entries, revocations and status lists.
-- Times are seconds since 1970. 64-bit numbers without a sign are kept as the signed integer of
-- the same bits. A released migration never changes: add another file.

-- One row: whose database this is.
CREATE TABLE region (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
) STRICT;

-- One row for each node's log: the right edge of its tree, and who may write.
CREATE TABLE audit_log (
    log INTEGER NOT NULL PRIMARY KEY,
    writer_epoch INTEGER NOT NULL,
    size INTEGER NOT NULL,
    frontier BLOB NOT NULL
) STRICT;

CREATE TABLE audit_record (
    log INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    record BLOB NOT NULL,
    salt BLOB NOT NULL,
    personal BLOB,
    personal_salt BLOB,
    personal_digest BLOB NOT NULL,
    leaf BLOB NOT NULL,
    PRIMARY KEY (log, seq),
    CHECK ((personal IS NULL) = (personal_salt IS NULL))
) STRICT;

-- Finds what is still to be erased without reading what was.
CREATE INDEX audit_record_personal ON audit_record (log, recorded_at) WHERE personal IS NOT NULL;

CREATE TABLE replay (
    key BLOB NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX replay_expiry ON replay (expires_at);

CREATE TABLE revocation (
    list_id INTEGER NOT NULL,
    list_index INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (list_id, list_index)
) STRICT, WITHOUT ROWID;

CREATE INDEX revocation_expiry ON revocation (expires_at);

CREATE TABLE status_list (
    list_id INTEGER NOT NULL PRIMARY KEY,
    drawn_at INTEGER NOT NULL
) STRICT;

-- One row of as many bytes as some tens of records: writing it anew shows that there is space.
CREATE TABLE proof_of_space (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    filler BLOB NOT NULL
) STRICT;
