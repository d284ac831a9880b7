"""A SQLite ledger as the controller's first version left it: three calls and their sums. The text never changes."""

import sqlite3
from contextlib import closing
from pathlib import Path

SCHEMA_1 = """
CREATE TABLE bundles (
    digest TEXT PRIMARY KEY,
    revision TEXT NOT NULL,
    owners TEXT NOT NULL -- JSON: use case to owner, as this bundle says
) WITHOUT ROWID;

CREATE TABLE calls (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    day TEXT NOT NULL, -- UTC
    sidecar TEXT NOT NULL,
    use_case TEXT NOT NULL,
    team TEXT NOT NULL, -- owner of the use case in the bundle that decided; empty when unknown
    agent TEXT NOT NULL,
    caller TEXT NOT NULL,
    dialect TEXT NOT NULL,
    stream INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    vendor TEXT NOT NULL,
    reason TEXT NOT NULL,
    bundle TEXT NOT NULL,
    revision TEXT NOT NULL,
    input_tokens INTEGER, -- NULL: unknown
    output_tokens INTEGER,
    cache_read_tokens INTEGER,
    cache_write_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost_usd TEXT, -- NULL: unknown
    wasted_usd TEXT NOT NULL,
    estimated INTEGER NOT NULL,
    seconds REAL NOT NULL,
    first_token_seconds REAL,
    attempts TEXT NOT NULL, -- JSON
    dropped TEXT NOT NULL -- JSON
) WITHOUT ROWID;

CREATE INDEX calls_by_time ON calls (at);

CREATE TABLE daily (
    day TEXT NOT NULL,
    use_case TEXT NOT NULL,
    team TEXT NOT NULL,
    agent TEXT NOT NULL,
    caller TEXT NOT NULL,
    model TEXT NOT NULL,
    provider TEXT NOT NULL,
    vendor TEXT NOT NULL,
    reason TEXT NOT NULL,
    outcome TEXT NOT NULL,
    requests INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    cache_read_tokens INTEGER NOT NULL,
    cache_write_tokens INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_usd TEXT NOT NULL,
    wasted_usd TEXT NOT NULL,
    unpriced_requests INTEGER NOT NULL,
    PRIMARY KEY (day, use_case, team, agent, caller, model, provider, vendor, reason, outcome)
) WITHOUT ROWID;

CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY);
INSERT INTO schema_migrations VALUES (1);
"""

CALLS = """
INSERT INTO bundles VALUES ('sha256:1', 'r1', '{"support":"support-platform"}');
INSERT INTO calls VALUES ('call-1', '2026-11-01T10:00:00.000Z', '2026-11-01', 's1', 'support', 'support-platform',
    'a', 'c', 'openai', 0, 'ok', 200, 'gpt', 'openai', 'openai', 'stream_cut', 'sha256:1', 'r1', 100, 20, 0, 0, 0,
    '0.0012', '0.03', 0, 1.5, NULL,
    '[{"model":"sonnet","provider":"anthropic","reason":"primary","outcome":"stream_cut","seconds":0.5,'
    || '"usage":{"input_tokens":100},"cost_usd":"0.03"},{"model":"gpt","provider":"openai","reason":"fallback",'
    || '"outcome":"ok","seconds":1.0,"usage":{"input_tokens":100,"output_tokens":20},"cost_usd":"0.0012"}]', '[]');
INSERT INTO calls VALUES ('call-2', '2026-11-01T11:00:00.000Z', '2026-11-01', 's1', 'support', 'support-platform',
    'a', 'c', 'openai', 1, 'ok', 200, 'sonnet', 'anthropic', 'anthropic', 'primary', 'sha256:2', 'r2', 100, 20, 0, 0, 0,
    NULL, '0', 0, 1.5, 0.25,
    '[{"model":"sonnet","provider":"anthropic","reason":"primary","outcome":"ok","seconds":0.5,'
    || '"usage":{"input_tokens":100}}]', '["seed"]');
INSERT INTO calls VALUES ('call-3', '2026-11-02T11:00:00.000Z', '2026-11-02', 's1', 'support', 'support-platform',
    'a', 'c', 'openai', 0, 'chain_spent', 502, '', '', '', 'primary', 'sha256:2', 'r2', NULL, NULL, NULL, NULL, NULL,
    NULL, '0', 0, 0.5, NULL, '[]', '[]');
INSERT INTO daily VALUES ('2026-11-01', 'support', 'support-platform', 'a', 'c', 'gpt', 'openai', 'openai',
    'stream_cut', 'ok', 1, 0, 100, 20, 0, 0, 0, '0.0012', '0.03', 0);
INSERT INTO daily VALUES ('2026-11-01', 'support', 'support-platform', 'a', 'c', 'sonnet', 'anthropic', 'anthropic',
    'primary', 'ok', 1, 0, 100, 20, 0, 0, 0, '0', '0', 1);
INSERT INTO daily VALUES ('2026-11-02', 'support', 'support-platform', 'a', 'c', '', '', '', 'primary', 'chain_spent',
    1, 1, 0, 0, 0, 0, 0, '0', '0', 0);
"""


def make_ledger_of_schema_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA_1 + CALLS)
