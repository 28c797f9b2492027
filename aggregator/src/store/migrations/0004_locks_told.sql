-- One row: the time (µs of UTC) of the newest word of locks to the boxes.
CREATE TABLE locks_told (
    only INTEGER NOT NULL PRIMARY KEY CHECK (only = 1),
    at   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO locks_told VALUES (1, 0);
