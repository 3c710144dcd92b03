-- Jobs, workers and queues. Instants and spans are microseconds; documents are JSON text; states are numbers:
-- waiting $waiting, scheduled $scheduled, queued $queued, processing $processing, completed $completed, failed $failed, cancelled $cancelled.

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
    WHERE key IS NOT NULL AND state IN ($waiting, $scheduled, $queued, $processing);

-- The claim reads this index in order; `task` is in it so that jobs of unknown tasks are passed over without a look at their rows.
CREATE INDEX stoker_jobs_ready ON stoker_jobs (queue, priority DESC, run_at, ref, task) WHERE state = $queued;

CREATE INDEX stoker_jobs_due ON stoker_jobs (run_at, queue) WHERE state = $scheduled;

CREATE INDEX stoker_jobs_waiting ON stoker_jobs (queue) WHERE state = $waiting;

CREATE INDEX stoker_jobs_held ON stoker_jobs (worker) WHERE state = $processing;

CREATE INDEX stoker_jobs_expiry ON stoker_jobs (expires_at) WHERE expires_at IS NOT NULL;

-- Completed jobs are the many; these are the ones that people look for.
CREATE INDEX stoker_jobs_unhappy ON stoker_jobs (state, id) WHERE state IN ($failed, $cancelled);

CREATE INDEX stoker_jobs_owner ON stoker_jobs (owner, id) WHERE owner IS NOT NULL;

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
    paused INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
