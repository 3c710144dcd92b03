-- Jobs, workers and queues. Instants and spans are microseconds; documents are JSON text, kept to the byte; states are
-- numbers: waiting $waiting, scheduled $scheduled, queued $queued, processing $processing, completed $completed,
-- failed $failed, cancelled $cancelled.

-- A schema that somebody else made may be used without the right to make one.
DO $body$
BEGIN
    IF to_regnamespace('"$schema"') IS NULL THEN
        CREATE SCHEMA "$schema";
    END IF;
END
$body$;

CREATE TABLE "$schema".meta (
    name text COLLATE "C" PRIMARY KEY,
    value text NOT NULL
);

-- No index of its own for `ref`: every version of a row has an entry in every index that it fits, so an index costs three
-- times. Claims are found by their refs among the jobs that are processing, everything else by its id.
-- Most rows are written three times within seconds: what is left free in a page holds the versions to come, and a
-- vacuum that begins early and does not pause keeps the indexes of what is queued and running as short as these are.
CREATE TABLE "$schema".jobs (
    ref bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    fence bigint NOT NULL DEFAULT 0,
    run_at bigint NOT NULL,
    keep_for bigint NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint,
    expires_at bigint,
    worker bigint,
    progress double precision,
    attempt integer NOT NULL DEFAULT 0,
    crashes integer NOT NULL DEFAULT 0,
    max_attempts integer NOT NULL,
    max_crashes integer NOT NULL,
    turn bigint NOT NULL DEFAULT 0,
    party bigint,
    state smallint NOT NULL,
    priority smallint NOT NULL,
    parked boolean NOT NULL DEFAULT false,
    awaited boolean NOT NULL DEFAULT false,
    parent_failed boolean NOT NULL DEFAULT false,
    id text COLLATE "C" PRIMARY KEY,
    queue text COLLATE "C" NOT NULL,
    task text COLLATE "C" NOT NULL,
    payload text COLLATE "C" NOT NULL,
    owner text COLLATE "C",
    key text COLLATE "C",
    workflow text COLLATE "C",
    schedule text COLLATE "C",
    tags text COLLATE "C",
    parents text COLLATE "C",
    overrides text COLLATE "C",
    meta text COLLATE "C",
    cancelling text COLLATE "C",
    message text COLLATE "C",
    checkpoint text COLLATE "C",
    result text COLLATE "C",
    error text COLLATE "C",
    errors text COLLATE "C",
    on_parent_failure text COLLATE "C",
    limit_key text COLLATE "C",
    share text COLLATE "C"
) WITH (
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_vacuum_insert_scale_factor = 0.1,
    autovacuum_analyze_scale_factor = 0.1,
    autovacuum_vacuum_cost_delay = 0
);

COMMENT ON COLUMN "$schema".jobs.turn IS 'in a fair queue, from 1 on; 0 where no turns are taken';
COMMENT ON COLUMN "$schema".jobs.party IS 'whose turn it is, hashed';
COMMENT ON COLUMN "$schema".jobs.parked IS 'queued, and surely not among the next of its limit: the claim need not look at it';
COMMENT ON COLUMN "$schema".jobs.awaited IS 'others wait for it, or did: its end has consequences';

-- Names are indexed by their first characters, because an entry of an index has a greatest size and a name has none.

CREATE UNIQUE INDEX jobs_key ON "$schema".jobs (left(key, 255), hashtextextended(key, 0))
    WHERE key IS NOT NULL AND state IN ($waiting, $scheduled, $queued, $processing);

-- The claim reads this index in order; `- priority`, so that a place in it can be told by comparing rows.
CREATE INDEX jobs_ready ON "$schema".jobs (left(queue, 255), (- priority), turn, run_at, ref)
    WHERE state = $queued AND NOT parked;

-- The next three hold no job that has no limit and stands in a queue without turns.
-- Jobs of a limit's key: those that are processing, and those that are queued, by queue and task in the order of claims.
CREATE INDEX jobs_limited ON "$schema".jobs (
    hashtextextended(limit_key, 0), (state + 0), hashtextextended(queue || '/' || task, 0), (- priority), turn, run_at, ref
) WHERE limit_key IS NOT NULL AND state IN ($queued, $processing);

CREATE INDEX jobs_aside ON "$schema".jobs (left(queue, 255), turn) WHERE state = $queued AND (parked OR turn > 0);

CREATE INDEX jobs_parties ON "$schema".jobs (left(queue, 255), party, turn) WHERE state = $queued AND turn > 0;

CREATE INDEX jobs_due ON "$schema".jobs (run_at) WHERE state = $scheduled;

CREATE INDEX jobs_waiting ON "$schema".jobs (left(queue, 255)) WHERE state = $waiting;

CREATE INDEX jobs_held ON "$schema".jobs (ref) WHERE state = $processing;

-- Workers look into this one several times a second; it is nearly always empty.
CREATE INDEX jobs_asked ON "$schema".jobs (worker) WHERE state = $processing AND cancelling IS NOT NULL;

CREATE INDEX jobs_expiry ON "$schema".jobs (expires_at, ref) WHERE expires_at IS NOT NULL;

-- Completed jobs are the many; these are the ones that people look for.
CREATE INDEX jobs_unhappy ON "$schema".jobs (state, id) WHERE state IN ($failed, $cancelled);

CREATE INDEX jobs_owner ON "$schema".jobs (left(owner, 255), id) WHERE owner IS NOT NULL;

-- With the state, so that a workflow's unfinished jobs, if there are any, stand in front.
CREATE INDEX jobs_workflow ON "$schema".jobs (left(workflow, 255), state, id) WHERE workflow IS NOT NULL;

-- Workers that are gone stay for a while: jobs say who ran them by the number.
CREATE TABLE "$schema".workers (
    ref bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    started_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    lease_until bigint NOT NULL,
    concurrency integer NOT NULL,
    pid bigint NOT NULL,
    lapsed boolean NOT NULL DEFAULT false,
    gone boolean NOT NULL DEFAULT false,
    asleep boolean NOT NULL DEFAULT false,
    id text COLLATE "C" NOT NULL,
    host text NOT NULL,
    version text NOT NULL,
    queues text,
    tags text
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0);

COMMENT ON COLUMN "$schema".workers.lapsed IS 'its lease ran out and others were told: it can never be renewed';
COMMENT ON COLUMN "$schema".workers.gone IS 'holds nothing any more';
COMMENT ON COLUMN "$schema".workers.asleep IS 'its last look left room: tell it when there is work';

CREATE UNIQUE INDEX workers_id ON "$schema".workers (left(id, 255), hashtextextended(id, 0));

CREATE INDEX workers_present ON "$schema".workers (ref) WHERE NOT gone;

CREATE TABLE "$schema".queues (
    concurrency bigint,
    rate bigint,
    period bigint,
    each bigint,
    whole bigint,
    full_at bigint NOT NULL DEFAULT 0,
    paused boolean NOT NULL DEFAULT false,
    name text COLLATE "C" NOT NULL,
    fair text
) WITH (fillfactor = 50);

COMMENT ON COLUMN "$schema".queues.each IS 'the span in which one token comes into the bucket';
COMMENT ON COLUMN "$schema".queues.whole IS 'the span in which an empty bucket is filled';
COMMENT ON COLUMN "$schema".queues.full_at IS 'when the bucket is full again';

CREATE UNIQUE INDEX queues_name ON "$schema".queues (left(name, 255), hashtextextended(name, 0));

-- Each migration says that it was applied, whoever applied it.
INSERT INTO "$schema".meta (name, value) VALUES ('schema', '1');
