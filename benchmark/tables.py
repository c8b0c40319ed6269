"""The tables of a ledger file."""

from __future__ import annotations

SCHEMA_VERSION = 3
"""Of what an older skewbench could not read. A table that is only added leaves it: stores of before have none until they are written to."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS stages (
    key TEXT PRIMARY KEY, science_key TEXT NOT NULL, op TEXT NOT NULL, owner TEXT NOT NULL, parent TEXT, config TEXT NOT NULL,
    code TEXT NOT NULL, status TEXT NOT NULL, kind TEXT NOT NULL, message TEXT NOT NULL, log_tail TEXT NOT NULL, facts TEXT NOT NULL,
    profile TEXT NOT NULL, context TEXT NOT NULL, file TEXT, started REAL NOT NULL, ended REAL NOT NULL);
CREATE INDEX IF NOT EXISTS stages_science ON stages (science_key);
CREATE TABLE IF NOT EXISTS cells (
    suite TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, last TEXT NOT NULL, scoring TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, result TEXT NOT NULL, PRIMARY KEY (suite, key));
CREATE INDEX IF NOT EXISTS cells_seq ON cells (seq);
CREATE INDEX IF NOT EXISTS cells_scored ON cells (suite, key, status, scoring, reason);
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, born REAL NOT NULL);
CREATE TABLE IF NOT EXISTS points (
    suite TEXT NOT NULL, key TEXT NOT NULL, ended REAL NOT NULL, point TEXT NOT NULL, PRIMARY KEY (suite, key, ended));
CREATE TABLE IF NOT EXISTS notes (kind TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, key));
"""
