-- Revocations of this region on their way to the federation. A row holds a framed proposal, which
-- names nobody; `state` is 0 while it is pending, 1 once the federation holds it, 2 if it was
-- refused. Whoever sends a row leases it for a while, so that another node takes over those of one
-- that is gone.
CREATE TABLE outbox (
    receipt BLOB NOT NULL,
    position INTEGER NOT NULL,
    proposal BLOB NOT NULL,
    state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),
    decided_at INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    lease_holder INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    PRIMARY KEY (receipt, position)
) STRICT, WITHOUT ROWID;

-- Finds what is still to be sent, or was refused, among what is long done.
CREATE INDEX outbox_open ON outbox (lease_until) WHERE state <> 1;

CREATE INDEX outbox_expiry ON outbox (expires_at);
