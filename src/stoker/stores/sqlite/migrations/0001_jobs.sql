-- Jobs, workers and queues. Instants and spans are microseconds; documents are JSON text; states are numbers:
-- waiting $waiting, scheduled $scheduled, queued $queued, processing $processing, completed $completed, failed $failed, cancelled $cancelled;
-- parked $parked is a queued job that is over its limit, out of the way of claims.

CREATE TABLE stoker_meta (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- AUTOINCREMENT: a ref is never used again, so (ref, fence) names one claim for ever.
CREATE TABLE stoker_jobs (
    ref INTEGER PRIMARY KEY AUTOINCREMENT,
    state INTEGER NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    crashes INTEGER NOT NULL DEFAULT 0,
    worker INTEGER,
    started_at INTEGER,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER,
    expires_at INTEGER,
    run_at INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    turn INTEGER NOT NULL DEFAULT 0,
    queue TEXT NOT NULL,
    task TEXT NOT NULL,
    id TEXT NOT NULL,
    max_attempts INTEGER NOT NULL,
    max_crashes INTEGER NOT NULL,
    keep_for INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    owner TEXT,
    key TEXT,
    tags TEXT,
    overrides TEXT,
    workflow TEXT,
    schedule TEXT,
    parents TEXT,
    on_parent_failure TEXT,
    parent_failed INTEGER NOT NULL DEFAULT 0,
    limit_key TEXT,
    share TEXT,
    cancelling TEXT,
    progress REAL,
    message TEXT,
    error TEXT,
    payload TEXT NOT NULL,
    result TEXT,
    meta TEXT,
    checkpoint TEXT,
    errors TEXT
);

CREATE UNIQUE INDEX stoker_jobs_id ON stoker_jobs (id);

CREATE UNIQUE INDEX stoker_jobs_key ON stoker_jobs (key)
    WHERE key IS NOT NULL AND state IN ($waiting, $scheduled, $queued, $processing, $parked);

-- The claim reads this index in order; `task` is in it so that jobs of unknown tasks are passed over without a look at their rows.
CREATE INDEX stoker_jobs_ready ON stoker_jobs (queue, priority DESC, turn, run_at, ref, task) WHERE state = $queued;

CREATE INDEX stoker_jobs_due ON stoker_jobs (run_at, queue) WHERE state = $scheduled;

CREATE INDEX stoker_jobs_waiting ON stoker_jobs (queue) WHERE state = $waiting;

CREATE INDEX stoker_jobs_held ON stoker_jobs (worker, queue) WHERE state = $processing;

CREATE INDEX stoker_jobs_expiry ON stoker_jobs (expires_at) WHERE expires_at IS NOT NULL;

-- Completed jobs are the many; these are the ones that people look for.
CREATE INDEX stoker_jobs_unhappy ON stoker_jobs (state, id) WHERE state IN ($failed, $cancelled);

CREATE INDEX stoker_jobs_owner ON stoker_jobs (owner, id) WHERE owner IS NOT NULL;

CREATE INDEX stoker_jobs_workflow ON stoker_jobs (workflow, state) WHERE workflow IS NOT NULL;

-- The jobs of one limit: those that are processing, the few that may be claimed, and the many that may not, in order.
-- OR, not IN: only so does SQLite know that one of these states is in the index.
CREATE INDEX stoker_jobs_limited ON stoker_jobs (limit_key, state, queue, priority DESC, turn, run_at, ref)
    WHERE limit_key IS NOT NULL
    AND (state = $waiting OR state = $scheduled OR state = $queued OR state = $processing OR state = $parked);

CREATE INDEX stoker_jobs_lines ON stoker_jobs (state, queue, priority DESC, turn, run_at, ref)
    WHERE limit_key IS NOT NULL AND (state = $queued OR state = $parked);

-- The turns of the jobs that are queued in fair queues. A lane is between whom turns are taken: an owner, or a share.
CREATE TABLE stoker_turns (
    job INTEGER NOT NULL PRIMARY KEY,
    queue TEXT NOT NULL,
    lane TEXT NOT NULL,
    turn INTEGER NOT NULL
);

CREATE INDEX stoker_turns_last ON stoker_turns (queue, lane, turn);

CREATE INDEX stoker_turns_first ON stoker_turns (queue, turn);

-- Who waits for whom. A parent is named by its id, because it may be put back after its child; an edge is there only
-- while the child waits for it.
CREATE TABLE stoker_edges (
    parent TEXT NOT NULL,
    child INTEGER NOT NULL,
    PRIMARY KEY (parent, child)
) WITHOUT ROWID;

CREATE INDEX stoker_edges_child ON stoker_edges (child);

-- Limits by key. `full_at` is the bucket (see `stores/bucket.py`) and `empty_at` is as much earlier as it takes to fill
-- it. While jobs are parked, `next_at` is when the next token comes in; `is_empty`: there is none before. `stood_at`: when
-- the tokens were last counted for jobs that are queued; a clock that stepped back makes them fewer.
CREATE TABLE stoker_limits (
    key TEXT NOT NULL PRIMARY KEY,
    concurrency INTEGER,
    rate INTEGER,
    period INTEGER,
    full_at INTEGER NOT NULL DEFAULT 0,
    empty_at INTEGER NOT NULL DEFAULT 0,
    next_at INTEGER,
    is_empty INTEGER NOT NULL DEFAULT 0,
    stood_at INTEGER,
    seen_at INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX stoker_limits_next ON stoker_limits (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX stoker_limits_token ON stoker_limits (next_at) WHERE is_empty;

CREATE INDEX stoker_limits_stood ON stoker_limits (stood_at) WHERE stood_at IS NOT NULL;

CREATE INDEX stoker_limits_emptiest ON stoker_limits (empty_at) WHERE rate IS NOT NULL;

CREATE INDEX stoker_limits_seen ON stoker_limits (seen_at);

-- The job that stands for others under a name, and until when.
CREATE TABLE stoker_guards (
    name TEXT NOT NULL PRIMARY KEY,
    job TEXT NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX stoker_guards_until ON stoker_guards (until);

-- Workers that are gone stay for a while: jobs say who ran them by the number.
CREATE TABLE stoker_workers (
    ref INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    version TEXT NOT NULL,
    queues TEXT,
    tags TEXT,
    concurrency INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL,
    gone INTEGER NOT NULL DEFAULT 0
);

CREATE TABLE stoker_queues (
    name TEXT NOT NULL PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    concurrency INTEGER,
    rate INTEGER,
    period INTEGER,
    fair TEXT,
    full_at INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

CREATE TABLE stoker_schedules (
    name TEXT NOT NULL PRIMARY KEY,
    document TEXT NOT NULL,
    next_at INTEGER,
    version INTEGER NOT NULL
) WITHOUT ROWID;

CREATE INDEX stoker_schedules_next ON stoker_schedules (next_at, name) WHERE next_at IS NOT NULL;

-- AUTOINCREMENT: a token is never given twice, whatever is deleted.
CREATE TABLE stoker_locks (
    token INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    holder TEXT NOT NULL,
    until INTEGER NOT NULL
);

CREATE INDEX stoker_locks_until ON stoker_locks (until);
