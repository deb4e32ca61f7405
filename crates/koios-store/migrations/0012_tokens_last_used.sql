-- NULL: never used, or not since this is noted.
ALTER TABLE tokens ADD COLUMN last_used_at BIGINT;
