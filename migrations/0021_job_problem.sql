-- Why a job waits, or why it was rolled back: for operators only.
ALTER TABLE job ADD COLUMN problem TEXT NOT NULL DEFAULT '';
