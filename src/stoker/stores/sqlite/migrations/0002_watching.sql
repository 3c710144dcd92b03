-- What watchers, charts and people on call ask for: logs, tallies, an audit log, values that are kept, commands.

-- What attempts logged, in the pieces in which they said it. `job`: the job's ref. `size`: in characters; it stands in
-- the index, so that nothing is read of what is kept to learn how much that is.
CREATE TABLE stoker_logs (
    number INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    size INTEGER NOT NULL,
    text TEXT NOT NULL
);

CREATE INDEX stoker_logs_job ON stoker_logs (job, fence, number, size);

-- How attempts ended, by the minute (its beginning) and queue.
CREATE TABLE stoker_tallies (
    at INTEGER NOT NULL,
    queue TEXT NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    retried INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    PRIMARY KEY (at, queue)
) WITHOUT ROWID;

-- Who did what.
CREATE TABLE stoker_audit (
    id TEXT NOT NULL PRIMARY KEY,
    at INTEGER NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    count INTEGER,
    detail TEXT
) WITHOUT ROWID;

CREATE INDEX stoker_audit_at ON stoker_audit (at);

-- Values that are the same for everybody.
CREATE TABLE stoker_kept (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- What a worker was told last.
ALTER TABLE stoker_workers ADD COLUMN command TEXT;
