-- Dead letters that may be mended, whole: a later version of the program, a
-- later hour or a healed database may take them. `due` (µs of UTC) is from when
-- on one from the future is not from the future any more.
CREATE TABLE set_aside (
    entry       INTEGER NOT NULL PRIMARY KEY,
    received_at INTEGER NOT NULL,
    due         INTEGER,
    topic       TEXT    NOT NULL,
    body        BLOB    NOT NULL
) STRICT;
CREATE INDEX set_aside_by_due ON set_aside (due) WHERE due IS NOT NULL;

-- One row: what they take, so that nobody has to add it up. An entry costs more
-- than its body, which bounds their number too.
CREATE TABLE set_aside_total (
    only  INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO set_aside_total VALUES (1, 0);
CREATE TRIGGER set_aside_comes AFTER INSERT ON set_aside BEGIN
    UPDATE set_aside_total SET bytes = bytes + length(new.body) + 512;
END;
CREATE TRIGGER set_aside_goes AFTER DELETE ON set_aside BEGIN
    UPDATE set_aside_total SET bytes = bytes - length(old.body) - 512;
END;
