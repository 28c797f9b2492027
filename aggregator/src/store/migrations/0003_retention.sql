-- What else is known of a file than that it belongs to an alert: until when a
-- clip goes (µs of UTC), what was asked for and what must be said of it (JSON).
ALTER TABLE evidence_items ADD COLUMN until INTEGER;
ALTER TABLE evidence_items ADD COLUMN asked TEXT;
ALTER TABLE evidence_items ADD COLUMN note TEXT;

-- What an alert's evidence lacks and will never have. `at` (µs of UTC) is 0
-- where no instant is named.
CREATE TABLE evidence_missing (
    alert  BLOB    NOT NULL,
    site   TEXT    NOT NULL,
    box    TEXT    NOT NULL,
    camera TEXT    NOT NULL,
    role   TEXT    NOT NULL,
    at     INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    PRIMARY KEY (alert, site, box, camera, role, at)
) STRICT, WITHOUT ROWID;

-- As what a file is kept, and since when, on the count of `seen_time`. `sorted`
-- is 0 when something has happened that may change that.
ALTER TABLE evidence_files ADD COLUMN class TEXT NOT NULL DEFAULT '';
ALTER TABLE evidence_files ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
ALTER TABLE evidence_files ADD COLUMN sorted INTEGER NOT NULL DEFAULT 0;
CREATE INDEX evidence_files_unsorted ON evidence_files (sha256) WHERE sorted = 0;
CREATE INDEX evidence_files_by_age ON evidence_files (class, since);

-- What retention has removed: written before the file goes, kept for good.
-- `erased` is 0 until the file itself is known to be gone.
CREATE TABLE evidence_removed (
    sha256     BLOB    NOT NULL PRIMARY KEY,
    length     INTEGER NOT NULL,
    class      TEXT    NOT NULL,
    days       REAL    NOT NULL,
    removed_at INTEGER NOT NULL,
    erased     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_removed_pending ON evidence_removed (sha256) WHERE erased = 0;

-- Alerts whose evidence a person has locked. Who set and who released a lock
-- stands in `alert_history`.
CREATE TABLE evidence_locks (
    alert  BLOB    NOT NULL PRIMARY KEY,
    at     INTEGER NOT NULL,
    actor  TEXT    NOT NULL,
    reason TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

-- One row: how much time was seen to pass, in µs, and the clock then.
CREATE TABLE seen_time (
    only       INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    counted_us INTEGER NOT NULL,
    looked     INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO seen_time VALUES (1, 0, NULL);
