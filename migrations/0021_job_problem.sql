-- Why a job waits, or why it was turned back: for operators, not for those who are told how it ended.
ALTER TABLE job ADD COLUMN problem TEXT NOT NULL DEFAULT '';
