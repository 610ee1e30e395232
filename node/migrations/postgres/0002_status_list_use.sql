-- How long a status list is published, and its decoys.

-- When the list last gave a place to a token, within a minute or so: it is published until the last
-- token is certain to have expired. Of lists that are there already nobody knows: they were used
-- until now at the latest.
ALTER TABLE status_list ADD COLUMN used_at BIGINT NOT NULL DEFAULT 0;
UPDATE status_list SET used_at = floor(extract(epoch FROM now()))::BIGINT;

-- What the list's decoys are drawn from; empty for lists from before there were any.
ALTER TABLE status_list ADD COLUMN decoy_seed BYTEA NOT NULL DEFAULT '';
