-- Circles of a million records.

-- A record whose body was dropped, because its circle is over the cap: body and sig are empty, the other columns stay.
CREATE INDEX records_stubs ON records (circle, target) WHERE body = x'';

-- A register is looked up for every ballot that comes, also where ten thousand others are about the same question.
DROP INDEX records_by_target;
CREATE INDEX records_by_target ON records (target, kind, author);
