-- What jobs have to do with each other, and what is not a job: guards, schedules, locks.

-- Who waits for whom, while it does. The child's policy is told with every edge: 0 `cancel`, 1 `run`, 2 `hold`, 3 `only`.
CREATE TABLE "$schema".edges (
    policy smallint NOT NULL,
    parent text COLLATE "C" NOT NULL,
    child text COLLATE "C" NOT NULL,
    PRIMARY KEY (parent, child)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX edges_child ON "$schema".edges (child, parent);

-- Limits of jobs. Who lets jobs of a key begin, or begin to stand in line for it, has locked its row before it looks how
-- much room there is; of several, in the order of their keys. An insert is nobody of these before its commit.
CREATE TABLE "$schema".limits (
    concurrency bigint,
    rate bigint,
    period bigint,
    each bigint,
    whole bigint,
    full_at bigint NOT NULL DEFAULT 0,
    next_at bigint,
    token_at bigint,
    key text COLLATE "C" NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_cost_delay = 0);

COMMENT ON COLUMN "$schema".limits.next_at IS 'when more of its queued jobs may be let into the claim than now';
COMMENT ON COLUMN "$schema".limits.token_at IS 'there are queued jobs, and from then on there is a token';

CREATE UNIQUE INDEX limits_key ON "$schema".limits (left(key, 255), hashtextextended(key, 0));

CREATE INDEX limits_next ON "$schema".limits (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX limits_token ON "$schema".limits (token_at) WHERE token_at IS NOT NULL;

CREATE INDEX limits_over ON "$schema".limits ((full_at - whole)) WHERE whole IS NOT NULL;

CREATE TABLE "$schema".guards (
    until bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    job text COLLATE "C" NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX guards_name ON "$schema".guards (left(name, 255), hashtextextended(name, 0));

CREATE INDEX guards_until ON "$schema".guards (until);

-- What an insert leaves to be done at its commit, so that what others wait for is locked for a moment only, even in a
-- transaction that its caller keeps open for long. Nobody ever sees a row of others.
CREATE UNLOGGED TABLE "$schema".inserted (
    ref bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    parents text[] NOT NULL,
    limits json NOT NULL
);

CREATE TABLE "$schema".schedules (
    version bigint NOT NULL,
    next_at bigint,
    name text COLLATE "C" NOT NULL,
    document text COLLATE "C" NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX schedules_name ON "$schema".schedules (left(name, 255), hashtextextended(name, 0));

CREATE INDEX schedules_next ON "$schema".schedules (next_at) WHERE next_at IS NOT NULL;

CREATE TABLE "$schema".locks (
    token bigint NOT NULL,
    until bigint NOT NULL,
    name text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL
) WITH (fillfactor = 70, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX locks_name ON "$schema".locks (left(name, 255), hashtextextended(name, 0));

CREATE INDEX locks_until ON "$schema".locks (until);

CREATE SEQUENCE "$schema".lock_tokens;

UPDATE "$schema".meta SET value = '2' WHERE name = 'schema';
