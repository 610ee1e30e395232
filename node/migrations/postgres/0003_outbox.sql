-- Revocations of this region on their way to the federation. A row holds a framed proposal, which
-- names nobody; `state` is 0 while it is pending, 1 once the federation holds it, 2 if it was
-- refused. Whoever sends a row leases it for a while, so that another node takes over those of one
-- that is gone.
CREATE TABLE outbox (
    receipt BYTEA NOT NULL,
    position BIGINT NOT NULL,
    proposal BYTEA NOT NULL,
    state BIGINT NOT NULL CHECK (state IN (0, 1, 2)),
    decided_at BIGINT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    lease_holder BIGINT NOT NULL,
    lease_until BIGINT NOT NULL,
    PRIMARY KEY (receipt, position)
);

-- Finds what is still to be sent, or was refused, among what is long done.
CREATE INDEX outbox_open ON outbox (lease_until) WHERE state <> 1;

CREATE INDEX outbox_expiry ON outbox (expires_at);
