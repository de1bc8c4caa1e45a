"""The tables of the classifier's database.

A change is a new script at the end of `MIGRATIONS`, and one more in `versions.DATABASE`.
"""

MIGRATIONS = (
    """
    CREATE TABLE inbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL UNIQUE,        -- the crop's id, or <track>.ended
        kind TEXT NOT NULL,              -- crop or ended
        camera TEXT NOT NULL,
        track TEXT NOT NULL,
        captured_ns INTEGER NOT NULL,
        received_ns INTEGER NOT NULL,
        done_ns INTEGER,                 -- NULL while it waits
        payload BLOB                     -- NULL once nobody needs it; the key stays
    );
    CREATE INDEX inbox_waiting ON inbox (seq) WHERE done_ns IS NULL;
    CREATE INDEX inbox_kept ON inbox (done_ns) WHERE payload IS NOT NULL;
    CREATE INDEX inbox_captured ON inbox (captured_ns);

    CREATE TABLE memory (
        camera TEXT NOT NULL,
        kind TEXT NOT NULL,              -- as in memory.py, place.py and blind.py
        key TEXT NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (camera, kind, key)
    ) WITHOUT ROWID;

    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        topic TEXT NOT NULL,             -- the pattern, as in topics.py
        levels TEXT NOT NULL,            -- JSON
        payload BLOB NOT NULL,
        put_ns INTEGER NOT NULL,
        delivered_ns INTEGER,            -- NULL until the broker has acknowledged it
        alert_id TEXT                    -- set for alerts, which are kept for replay
    );
    CREATE INDEX outbox_waiting ON outbox (seq) WHERE delivered_ns IS NULL;
    CREATE INDEX outbox_alerts ON outbox (put_ns) WHERE alert_id IS NOT NULL;

    CREATE TABLE retained (
        topic TEXT NOT NULL,
        levels TEXT NOT NULL,
        payload BLOB NOT NULL,           -- what was delivered last
        PRIMARY KEY (topic, levels)
    );

    CREATE TABLE feedback (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        alert_id TEXT NOT NULL,
        truth TEXT NOT NULL,
        label TEXT,
        at_ns INTEGER NOT NULL
    );

    CREATE TABLE heartbeat (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        at_ns INTEGER NOT NULL
    )
    """,
    """
    ALTER TABLE outbox ADD COLUMN refused_ns INTEGER;  -- set while the broker refuses it
    CREATE INDEX outbox_refused ON outbox (alert_id) WHERE refused_ns IS NOT NULL
    """,
    """
    CREATE INDEX outbox_by_alert ON outbox (alert_id) WHERE alert_id IS NOT NULL;
    ALTER TABLE feedback ADD COLUMN known INTEGER NOT NULL DEFAULT 1;  -- its alert was kept then
    CREATE INDEX feedback_by_alert ON feedback (alert_id);
    CREATE TABLE pictures (
        alert_id TEXT PRIMARY KEY,
        snapshot_id TEXT NOT NULL,       -- the newest one
        jpeg BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE announced (
        prefix TEXT NOT NULL,            -- of Home Assistant's discovery topics
        device TEXT NOT NULL,
        payload BLOB NOT NULL,           -- what is said; empty: the device is taken away
        former BLOB,                     -- what Home Assistant may know though it is said no more
        PRIMARY KEY (prefix, device)
    ) WITHOUT ROWID
    """,
)
