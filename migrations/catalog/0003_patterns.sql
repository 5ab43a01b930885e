-- Patterns are segments that persons and programs made: `pattern` is the id that
-- one keeps when it is changed, `source` who found it. No library had any before.

ALTER TABLE segment ADD COLUMN pattern BLOB;
ALTER TABLE segment ADD COLUMN source TEXT;

CREATE INDEX segment_pattern ON segment (pattern) WHERE pattern IS NOT NULL;

-- An older songrec may have built this catalog, without the segments of songs that
-- have patterns: what it leaves out is read again.
DELETE FROM shard WHERE folder = 'segments';
