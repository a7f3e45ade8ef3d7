-- How many records of each kind an author has in a circle is counted for the caps: from the index alone, not from a page of each record.
DROP INDEX records_by_author;
CREATE INDEX records_by_author ON records (author, circle, seq, kind);
