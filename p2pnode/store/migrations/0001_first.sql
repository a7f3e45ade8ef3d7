-- The first schema. Blobs hold binary ids, binary CIDs and paths as the system encodes them (a file name need not be UTF-8).
-- `auto_vacuum` is set by the runner before this file: it cannot change once a table exists.

-- Numbers that would need a scan, kept by triggers: bytes that the store owns, works that are only heard of, peers and providers.
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO totals VALUES ('stored', 0), ('heard', 0), ('peers', 0), ('providers', 0);

-- Records: a set per circle.
CREATE TABLE records (
    id INTEGER PRIMARY KEY,
    record BLOB NOT NULL UNIQUE,
    circle BLOB NOT NULL,
    kind TEXT NOT NULL,
    control INTEGER NOT NULL,
    author BLOB NOT NULL,
    target BLOB NOT NULL,
    seq INTEGER NOT NULL,
    created INTEGER NOT NULL,
    own INTEGER NOT NULL,
    body BLOB NOT NULL,
    sig BLOB NOT NULL
) STRICT;
CREATE INDEX records_for_sync ON records (circle, control, created, record);
CREATE INDEX records_by_kind ON records (circle, kind);
CREATE INDEX records_by_author ON records (author, seq);
CREATE INDEX records_by_target ON records (target, kind);

-- The highest sequence number ever handed out to each of our keys; outlives the records.
CREATE TABLE seqs (author BLOB PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE circles (circle BLOB PRIMARY KEY, salt BLOB NOT NULL, added REAL NOT NULL) STRICT, WITHOUT ROWID;

-- The catalogue and its full-text index (rowid = works.id).
CREATE TABLE works (
    id INTEGER PRIMARY KEY,
    work BLOB NOT NULL UNIQUE,
    root BLOB NOT NULL,
    title TEXT NOT NULL,
    kind TEXT NOT NULL,
    creators TEXT NOT NULL,
    licence TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    files INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('own', 'kept', 'heard')),
    private INTEGER NOT NULL,
    circle BLOB NOT NULL,
    author BLOB NOT NULL,
    added REAL NOT NULL,
    words TEXT NOT NULL,
    record BLOB NOT NULL,
    sig BLOB NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX works_by_root ON works (root);
CREATE INDEX works_by_state ON works (state, added, id);
CREATE VIRTUAL TABLE works_text USING fts5 (
    title, creators, summary, tags, tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
);
INSERT INTO works_text (works_text, rank) VALUES ('rank', 'bm25(10.0, 5.0, 1.0, 3.0)');
CREATE TRIGGER works_in AFTER INSERT ON works WHEN NEW.state = 'heard' BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'heard';
END;
CREATE TRIGGER works_out AFTER DELETE ON works WHEN OLD.state = 'heard' BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'heard';
END;
CREATE TRIGGER works_state AFTER UPDATE OF state ON works WHEN OLD.state <> NEW.state BEGIN
    UPDATE totals SET value = value + (NEW.state = 'heard') - (OLD.state = 'heard') WHERE name = 'heard';
END;

-- Contents. Ids are never used twice: whoever still holds an old one must not write into a new content.
CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    root BLOB,
    state TEXT NOT NULL CHECK (state IN ('building', 'partial', 'complete')),
    public INTEGER NOT NULL,
    size INTEGER NOT NULL,
    files INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX contents_by_root ON contents (root, state) WHERE root IS NOT NULL;
CREATE INDEX contents_unfinished ON contents (state) WHERE state <> 'complete';

-- Where a content's files lie: the same content may lie in several places. An owned path is relative to the library folder.
-- `id` is the id of the content under which it was begun; `final` the name that a rename under way leads to.
CREATE TABLE bases (
    id INTEGER PRIMARY KEY,
    content INTEGER NOT NULL REFERENCES contents (id),
    path BLOB NOT NULL,
    owned INTEGER NOT NULL,
    final BLOB
) STRICT;
CREATE INDEX bases_by_content ON bases (content);

CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    base INTEGER NOT NULL REFERENCES bases (id),
    path BLOB NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_base ON files (base);

-- Leaves that lie in files. For a fetched file a row here says: these bytes were verified and are on the disk.
CREATE TABLE places (
    cid BLOB NOT NULL,
    file INTEGER NOT NULL REFERENCES files (id),
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    PRIMARY KEY (cid, file, offset)
) STRICT, WITHOUT ROWID;
CREATE INDEX places_by_file ON places (file);

-- Interior nodes and small leaves, and which contents need them.
CREATE TABLE blocks (id INTEGER PRIMARY KEY, cid BLOB NOT NULL UNIQUE, data BLOB NOT NULL) STRICT;
CREATE TABLE refs (
    content INTEGER NOT NULL REFERENCES contents (id),
    block INTEGER NOT NULL REFERENCES blocks (id) ON DELETE CASCADE,
    PRIMARY KEY (content, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX refs_by_block ON refs (block);

CREATE TRIGGER blocks_in AFTER INSERT ON blocks BEGIN
    UPDATE totals SET value = value + length(NEW.data) WHERE name = 'stored';
END;
CREATE TRIGGER blocks_out AFTER DELETE ON blocks BEGIN
    UPDATE totals SET value = value - length(OLD.data) WHERE name = 'stored';
END;
CREATE TRIGGER files_in AFTER INSERT ON files WHEN (SELECT owned FROM bases WHERE id = NEW.base) BEGIN
    UPDATE totals SET value = value + NEW.size WHERE name = 'stored';
END;
CREATE TRIGGER files_out AFTER DELETE ON files WHEN (SELECT owned FROM bases WHERE id = OLD.base) BEGIN
    UPDATE totals SET value = value - OLD.size WHERE name = 'stored';
END;

-- Files to unlink: written with the deletion, unlinked after the commit, again at the next open if that was cut short.
CREATE TABLE trash (path BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE pins (root BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    payload BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due REAL NOT NULL
) STRICT;
CREATE INDEX outbox_by_due ON outbox (due, id);

-- Address book. `addresses` is JSON: [[address, when it last answered or 0], ...], best first.
CREATE TABLE peers (
    peer TEXT PRIMARY KEY,
    answered REAL NOT NULL,
    seen REAL NOT NULL,
    addresses TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX peers_by_answer ON peers (answered, seen);
CREATE TRIGGER peers_in AFTER INSERT ON peers BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'peers';
END;
CREATE TRIGGER peers_out AFTER DELETE ON peers BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'peers';
END;

-- Provider records of our DHT server. Addresses are kept once a peer; `kept` counts its records.
CREATE TABLE provider_peers (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    peer TEXT NOT NULL UNIQUE,
    addresses TEXT NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX provider_peers_by_kept ON provider_peers (kept);
CREATE TABLE providers (
    key BLOB NOT NULL,
    peer INTEGER NOT NULL REFERENCES provider_peers (id),
    added REAL NOT NULL,
    PRIMARY KEY (key, peer)
) STRICT, WITHOUT ROWID;
CREATE INDEX providers_by_peer ON providers (peer, added);
CREATE INDEX providers_by_age ON providers (added);
CREATE TRIGGER providers_in AFTER INSERT ON providers BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'providers';
    UPDATE provider_peers SET kept = kept + 1 WHERE id = NEW.peer;
END;
CREATE TRIGGER providers_out AFTER DELETE ON providers BEGIN
    UPDATE totals SET value = value - 1 WHERE name = 'providers';
    UPDATE provider_peers SET kept = kept - 1 WHERE id = OLD.peer;
    DELETE FROM provider_peers WHERE id = OLD.peer AND kept = 0;
END;
