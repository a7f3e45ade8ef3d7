-- Keeping what is held: when it was used last, who else has it, and what of it is damaged.

-- When somebody last fetched, opened or was served this content (seconds since 1970; 0: never since this was counted).
ALTER TABLE contents ADD COLUMN used REAL NOT NULL DEFAULT 0;

-- A check reads a file from its beginning to its end.
DROP INDEX places_by_file;
CREATE INDEX places_in_order ON places (file, offset);

-- What was held and is not right any more. A damaged leaf in a file is a row here INSTEAD of in `places`, so that it is never served;
-- a damaged row of `blocks` is named here with file 0. Only complete contents: an unfinished one forgets the leaf and fetches it again.
CREATE TABLE damage (
    id INTEGER PRIMARY KEY,
    cid BLOB NOT NULL,
    base INTEGER NOT NULL,
    file INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    reason TEXT NOT NULL,
    found REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX damage_once ON damage (cid, file, offset);
CREATE INDEX damage_by_file ON damage (file);
CREATE INDEX damage_by_base ON damage (base);
CREATE TRIGGER damage_without_file AFTER DELETE ON files BEGIN
    DELETE FROM damage WHERE file = OLD.id;
END;
CREATE TRIGGER damage_without_block AFTER DELETE ON blocks BEGIN
    DELETE FROM damage WHERE cid = OLD.cid AND file = 0;
END;
CREATE TRIGGER blocks_mended AFTER UPDATE OF data ON blocks BEGIN
    UPDATE totals SET value = value + length(NEW.data) - length(OLD.data) WHERE name = 'stored';
END;

-- Peers that proved to hold a content: each gave a block of it that was verified, at that time.
CREATE TABLE copies (
    root BLOB NOT NULL,
    peer TEXT NOT NULL,
    seen REAL NOT NULL,
    PRIMARY KEY (root, peer)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER copies_of_nothing AFTER DELETE ON contents
WHEN NOT EXISTS (SELECT 1 FROM contents WHERE root = OLD.root) BEGIN
    DELETE FROM copies WHERE root = OLD.root;
END;
