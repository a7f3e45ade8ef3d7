-- Publishing that goes on after a stop, and that reads only what changed.

-- A content in state building that is not dropped when the store opens: its publishing was cut short and will go on.
ALTER TABLE contents ADD COLUMN resumable INTEGER NOT NULL DEFAULT 0;

-- With size and mtime_ns: how a file looked before it was read. Inode 0: it was too young for that to prove anything.
ALTER TABLE files ADD COLUMN ctime_ns INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN inode INTEGER NOT NULL DEFAULT 0;

-- A file is looked up by its path.
DROP INDEX files_by_base;
CREATE INDEX files_by_path ON files (base, path);
