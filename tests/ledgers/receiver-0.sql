BEGIN TRANSACTION;
CREATE TABLE begun (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "begun" VALUES('44d19529efb93133',2);
CREATE TABLE bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
INSERT INTO "bundle" VALUES('6974bddaf5a97586','models','item1','1',1,3000,1,1,'898f93cb9744f0e11cd56b6646e0090ac74beb96990bfb4013206a4919575657','abababababababababababababababababababababababababababababababab','published','','2026-11-28T11:44:06Z');
INSERT INTO "bundle" VALUES('44d19529efb93133','models','item2','2',2,6000,1,1,'a360864cb1c3a2bb3fb4a4b2f5a1616ab3854ec0e6f379612af91809d668ed3d','abababababababababababababababababababababababababababababababab','receiving','','2026-11-28T11:44:06Z');
INSERT INTO "bundle" VALUES('47934b08ceb14b7e','models','item3','3',3,9000,1,1,'89abd08ca90f1c38889c9fca5932812e59f510fa46f1296f2bf42efb463c34ee','abababababababababababababababababababababababababababababababab','held','','2026-11-28T11:44:06Z');
CREATE TABLE channel (
    name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, floor INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "channel" VALUES('models',3,0);
CREATE TABLE heard (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "heard" VALUES(1,'eeeeeeeeeeeeeeee');
CREATE TABLE heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL
) STRICT;
INSERT INTO "heartbeat" VALUES(1,1790000000,77);
CREATE TABLE issued (
    channel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, first INTEGER NOT NULL
) STRICT;
INSERT INTO "issued" VALUES('models',5,5);
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, side TEXT NOT NULL, decisions INTEGER NOT NULL
) STRICT;
INSERT INTO "ledger" VALUES(1,'72518cd65a78e993709dd55ae77a72c0','receiver',7);
CREATE TABLE parked (
    bundle TEXT NOT NULL, kind INTEGER NOT NULL, flags INTEGER NOT NULL, number INTEGER NOT NULL, have BLOB NOT NULL,
    boot TEXT NOT NULL, PRIMARY KEY (bundle, kind, flags, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "parked" VALUES('44d19529efb93133',1,0,1,X'F0','887d09d9-2575-4037-a4be-25bd3f9bb9ad');
CREATE TABLE peer_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
INSERT INTO "peer_head" VALUES(1,9,'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
CREATE TABLE postponed (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
INSERT INTO "postponed" VALUES(1,'dddddddddddddddd','models',4);
CREATE TABLE session (one INTEGER PRIMARY KEY CHECK (one = 1), admitted TEXT NOT NULL) STRICT;
INSERT INTO "session" VALUES(1,'[[1, 2, 3]]');
CREATE TABLE slab (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "slab" VALUES('44d19529efb93133',0,'887d09d9-2575-4037-a4be-25bd3f9bb9ad');
CREATE TABLE trust (version INTEGER PRIMARY KEY, sealed BLOB NOT NULL, taken TEXT NOT NULL) STRICT;
CREATE TABLE withdrawn (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "withdrawn" VALUES(1,'ffffffffffffffff');
CREATE UNIQUE INDEX one_sequence ON bundle (channel, sequence) WHERE state != 'refused';
CREATE UNIQUE INDEX one_version ON bundle (channel, name, version) WHERE state != 'refused';
CREATE TRIGGER bundle_accepted AFTER INSERT ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER bundle_decided AFTER UPDATE OF state ON bundle
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
CREATE TRIGGER number_published AFTER UPDATE OF state ON bundle WHEN NEW.state = 'publishing' BEGIN
    INSERT INTO channel (name, sequence) VALUES (NEW.channel, NEW.sequence)
    ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence);
END;
CREATE TRIGGER trust_taken AFTER INSERT ON trust
    BEGIN UPDATE ledger SET decisions = decisions + 1; END;
COMMIT;
