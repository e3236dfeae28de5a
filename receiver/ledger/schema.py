"""The tables of the receiver's ledger, which process writes each of them, and how older schemas are brought up to date.

The column ``number`` in ``postponed``, ``ahead``, ``predecessor``, ``heard``, ``withdrawn`` and ``quarantined`` counts
up with each row. By it the oldest rows are found and removed.
"""

from typing import Final

BUNDLES: Final = """
CREATE TABLE IF NOT EXISTS bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
CREATE INDEX IF NOT EXISTS bundles_by_state ON bundle (state);
CREATE TABLE IF NOT EXISTS channel (
    name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, floor INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TRIGGER IF NOT EXISTS bundle_accepted AFTER INSERT ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS bundle_decided AFTER UPDATE OF state ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS number_published AFTER UPDATE OF state ON bundle WHEN NEW.state = 'publishing' BEGIN
    INSERT INTO channel (name, sequence) VALUES (NEW.channel, NEW.sequence)
    ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence);
END;
DROP INDEX IF EXISTS one_sequence;
DROP INDEX IF EXISTS one_version;
CREATE UNIQUE INDEX IF NOT EXISTS used_sequence ON bundle (channel, sequence)
    WHERE state != 'refused' AND channel != 'trust';
CREATE UNIQUE INDEX IF NOT EXISTS used_version ON bundle (channel, name, version)
    WHERE state != 'refused' AND channel != 'trust';
CREATE INDEX IF NOT EXISTS unpublished ON bundle (state) WHERE state != 'published';
CREATE INDEX IF NOT EXISTS by_number ON bundle (channel, sequence);
CREATE INDEX IF NOT EXISTS by_change ON bundle (changed) WHERE state != 'receiving';
CREATE INDEX IF NOT EXISTS published_of ON bundle (channel, name, sequence) WHERE state = 'published';
CREATE INDEX IF NOT EXISTS arrived_in ON bundle (channel, changed) WHERE state = 'published';
CREATE INDEX IF NOT EXISTS from_receipts ON bundle (channel) WHERE detail = 'taken from its receipt';
"""
SLABS: Final = """
CREATE TABLE IF NOT EXISTS slab (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, proof TEXT NOT NULL DEFAULT 'written',
    PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parked (
    bundle TEXT NOT NULL, kind INTEGER NOT NULL, flags INTEGER NOT NULL, number INTEGER NOT NULL, have BLOB NOT NULL,
    boot TEXT NOT NULL, proof TEXT NOT NULL DEFAULT 'written', PRIMARY KEY (bundle, kind, flags, number)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS begun (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
"""
NUMBERS: Final = """
CREATE TABLE IF NOT EXISTS channel_begin (
    channel TEXT PRIMARY KEY, first INTEGER NOT NULL, highest INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS predecessor (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL,
    since TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ahead (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS postponed (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS renumbered (channel TEXT PRIMARY KEY, times INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS quarantined (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, name TEXT NOT NULL,
    version TEXT NOT NULL, sequence INTEGER NOT NULL, is_known INTEGER NOT NULL, reason TEXT NOT NULL,
    detail TEXT NOT NULL, at TEXT NOT NULL
) STRICT;
"""
TRUST: Final = """
CREATE TABLE IF NOT EXISTS trust (version INTEGER PRIMARY KEY, sealed BLOB NOT NULL, taken TEXT NOT NULL) STRICT;
CREATE TRIGGER IF NOT EXISTS trust_taken AFTER INSERT ON trust
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TABLE IF NOT EXISTS trust_floor (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, digest TEXT NOT NULL
) STRICT;
"""
PEER: Final = """
CREATE TABLE IF NOT EXISTS heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS link_order (
    key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL, has_mac INTEGER NOT NULL,
    has_spoken INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS peer_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS session (one INTEGER PRIMARY KEY CHECK (one = 1), admitted TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS issued (
    channel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, first INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS heard (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS withdrawn (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS dismissed (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL, channel TEXT NOT NULL, sequence INTEGER NOT NULL,
    times INTEGER NOT NULL, at TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL, undone TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS dismissed_by_id ON dismissed (bundle);
CREATE INDEX IF NOT EXISTS dismissed_by_number ON dismissed (channel, sequence);
"""
CATALOGUE: Final = """
CREATE TABLE IF NOT EXISTS entry (
    bundle TEXT PRIMARY KEY, serve TEXT NOT NULL, dated TEXT NOT NULL, dated_by TEXT NOT NULL, facts TEXT NOT NULL,
    problem TEXT NOT NULL DEFAULT '', removed TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS removed_entries ON entry (bundle) WHERE removed != '';
CREATE TABLE IF NOT EXISTS claim (
    kind TEXT NOT NULL, normal TEXT NOT NULL, bundle TEXT NOT NULL, spelling TEXT NOT NULL,
    PRIMARY KEY (kind, normal, bundle)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS claims_of ON claim (bundle);
CREATE TABLE IF NOT EXISTS holder (
    kind TEXT NOT NULL, normal TEXT NOT NULL, channel TEXT NOT NULL, since TEXT NOT NULL, first TEXT NOT NULL,
    PRIMARY KEY (kind, normal)
) STRICT, WITHOUT ROWID;
"""
POINTERS: Final = """
CREATE TABLE IF NOT EXISTS pointer (
    channel TEXT NOT NULL, name TEXT NOT NULL, number INTEGER NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (channel, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS moved (
    number INTEGER PRIMARY KEY, at TEXT NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL, what TEXT NOT NULL,
    before TEXT NOT NULL, after TEXT NOT NULL, bundle TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS moved_of ON moved (channel, name, number);
CREATE TABLE IF NOT EXISTS recall (
    bundle TEXT NOT NULL, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, at TEXT NOT NULL,
    who TEXT NOT NULL, reason TEXT NOT NULL, undone TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bundle, channel, name, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recall_heard (
    statement TEXT PRIMARY KEY, carrier TEXT NOT NULL, at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drill (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,
    began TEXT NOT NULL, start_version TEXT NOT NULL, start_bundle TEXT NOT NULL, rehearsed_version TEXT NOT NULL,
    rehearsed_bundle TEXT NOT NULL, ended TEXT NOT NULL, passed INTEGER NOT NULL, ms INTEGER NOT NULL,
    detail TEXT NOT NULL, report TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ordered (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL,
    channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TRIGGER IF NOT EXISTS pointer_moved AFTER INSERT ON moved
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER IF NOT EXISTS bundle_recalled AFTER INSERT ON recall
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
"""
SCHEMA: Final = BUNDLES + SLABS + NUMBERS + TRUST + PEER + CATALOGUE + POINTERS

BY_STORE: Final = frozenset(
    {
        *("ledger", "bundle", "channel", "slab", "parked", "begun", "trust", "trust_floor"),
        *("channel_begin", "predecessor", "ahead", "postponed", "renumbered", "quarantined"),
        *("entry", "claim", "holder", "pointer", "moved", "recall", "recall_heard", "ordered", "drill"),
    }
)
BY_SUPERVISOR: Final = frozenset(
    {"ledger", "heartbeat", "link_order", "peer_head", "session", "issued", "heard", "withdrawn", "dismissed"}
)

# Schema 1 kept what is known of a slab in the column of boot ids: "durable" instead of one, or a word before it.
_PROOFS: Final = tuple(
    statement
    for table in ("slab", "parked")
    for statement in (
        f"ALTER TABLE {table} ADD COLUMN proof TEXT NOT NULL DEFAULT 'written'",
        f"UPDATE {table} SET proof = 'durable', boot = '' WHERE boot = 'durable'",
        f"UPDATE {table} SET proof = 'syncing', boot = substr(boot, 9) WHERE boot LIKE 'syncing %'",
        f"UPDATE {table} SET proof = 'unproven', boot = substr(boot, 10) WHERE boot LIKE 'unproven %'",
    )
)
MIGRATIONS: Final = ((), _PROOFS)
PROOFS_SINCE: Final = 2  # the schema that first had them
