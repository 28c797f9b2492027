-- What has arrived, so that a resend counts once. CloudEvents: source + id is unique.
CREATE TABLE inbox (
    source      TEXT    NOT NULL,
    id          TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (source, id)
) STRICT, WITHOUT ROWID;

-- One row per happening. Times are µs of UTC. `change` is the number of the
-- last change of what the operator sees; it drives the stream.
CREATE TABLE alerts (
    id          BLOB    NOT NULL PRIMARY KEY,
    kind        TEXT    NOT NULL,
    severity    TEXT    NOT NULL,
    title_vi    TEXT    NOT NULL,
    title_en    TEXT    NOT NULL,
    site        TEXT    NOT NULL,
    box         TEXT    NOT NULL,
    camera      TEXT    NOT NULL,
    zone        TEXT,
    place       TEXT,
    occurred_at INTEGER NOT NULL,
    decided_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    received_at INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    machine     TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    simulated   INTEGER NOT NULL,
    change      INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alerts_by_change ON alerts (change);
CREATE INDEX alerts_by_time ON alerts (occurred_at DESC, id DESC);
CREATE INDEX alerts_by_camera ON alerts (camera, occurred_at DESC, id DESC);
CREATE INDEX alerts_by_kind ON alerts (kind, state);
-- Few are open at any time, so the operator's list stays short work.
CREATE INDEX alerts_open ON alerts (state, occurred_at DESC, id DESC) WHERE state <> 'resolved';

-- Every revision exactly as it was received: what a signature is over.
CREATE TABLE alert_bodies (
    alert       BLOB    NOT NULL,
    revision    INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX alert_bodies_by_revision ON alert_bodies (alert, revision);

-- Who did what, when and why. Rows are only ever added.
CREATE TABLE alert_history (
    entry      INTEGER NOT NULL PRIMARY KEY,
    alert      BLOB    NOT NULL,
    at         INTEGER NOT NULL,
    actor      TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    from_state TEXT,
    to_state   TEXT    NOT NULL,
    reason     TEXT,
    note       TEXT
) STRICT;
CREATE INDEX alert_history_by_alert ON alert_history (alert, entry);

-- Which files belong to an alert. May be here before the alert is. Who said so
-- is kept: nobody may add pictures to the accusation of another camera.
CREATE TABLE evidence_items (
    alert      BLOB    NOT NULL,
    site       TEXT    NOT NULL,
    box        TEXT    NOT NULL,
    camera     TEXT    NOT NULL,
    role       TEXT    NOT NULL,
    sha256     BLOB    NOT NULL,
    length     INTEGER NOT NULL,
    media_type TEXT    NOT NULL,
    captured   INTEGER NOT NULL,
    PRIMARY KEY (alert, site, box, camera, role, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_items_by_file ON evidence_items (sha256);

-- Which files are in the evidence store. May be here before the manifest is.
CREATE TABLE evidence_files (
    sha256     BLOB    NOT NULL PRIMARY KEY,
    length     INTEGER NOT NULL,
    media_type TEXT    NOT NULL,
    stored_at  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Up to where each outbox is complete. A box cannot name another's outbox.
CREATE TABLE outboxes (
    site        TEXT    NOT NULL,
    box         TEXT    NOT NULL,
    outbox      BLOB    NOT NULL,
    through     INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    PRIMARY KEY (site, box, outbox)
) STRICT, WITHOUT ROWID;

-- What came before something that is still on its way.
CREATE TABLE outbox_ahead (
    site     TEXT    NOT NULL,
    box      TEXT    NOT NULL,
    outbox   BLOB    NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (site, box, outbox, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE cameras (
    site        TEXT    NOT NULL,
    box         TEXT    NOT NULL,
    camera      TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    status      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    PRIMARY KEY (site, box, camera)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX cameras_by_change ON cameras (change);

CREATE TABLE boxes (
    site        TEXT    NOT NULL,
    box         TEXT    NOT NULL,
    online      INTEGER NOT NULL,
    status      TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    change      INTEGER NOT NULL,
    PRIMARY KEY (site, box)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX boxes_by_change ON boxes (change);

-- Last wills of the boxes that are connected to the front door, so that a
-- centre that was killed knows at its next start whom it has not heard leave.
CREATE TABLE wills (
    site       TEXT    NOT NULL,
    box        TEXT    NOT NULL,
    connection INTEGER NOT NULL,
    status     TEXT    NOT NULL,
    PRIMARY KEY (site, box, connection)
) STRICT, WITHOUT ROWID;

CREATE TABLE dead_letters (
    entry       INTEGER NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL,
    topic       TEXT    NOT NULL,
    site        TEXT,
    box         TEXT,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    length      INTEGER NOT NULL,
    head        BLOB    NOT NULL
) STRICT;

-- One row: the last change number given out. Never goes back, whatever is deleted.
CREATE TABLE change_counter (
    only  INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO change_counter VALUES (1, 0);
