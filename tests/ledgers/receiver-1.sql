BEGIN TRANSACTION;
CREATE TABLE ahead (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
INSERT INTO "ahead" VALUES(1,'cccccccccccccccc','models',50000);
CREATE TABLE begun (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "begun" VALUES('2222222222222222',8);
CREATE TABLE bundle (
    id TEXT PRIMARY KEY, channel TEXT NOT NULL, name TEXT NOT NULL, version TEXT NOT NULL, sequence INTEGER NOT NULL,
    size INTEGER NOT NULL, files INTEGER NOT NULL, slabs INTEGER NOT NULL, content TEXT NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
    changed TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ'))
) STRICT;
INSERT INTO "bundle" VALUES('1111111111111111','models','item1','1',1,3000,1,1,'d00950bb6ed30994d765e0bd4d402345fd20a5fe0330ddf92c980f2a7ae51dad','abababababababababababababababababababababababababababababababab','published','','2026-11-28T18:19:06Z');
INSERT INTO "bundle" VALUES('2222222222222222','models','item2','2',2,3000,1,1,'3b46959b373664cfa1c3be397cd266b4a77063809be84666aed3f6441a3f2747','abababababababababababababababababababababababababababababababab','receiving','','2026-11-28T18:19:06Z');
INSERT INTO "bundle" VALUES('3333333333333333','models','item3','3',3,3000,1,1,'b8f4b6530aa444010e50ad611136f76c02f716cd5eaf13ac005144691883d2f0','abababababababababababababababababababababababababababababababab','held','','2026-11-28T18:19:06Z');
INSERT INTO "bundle" VALUES('4444444444444444','models','item4','4',4,3000,1,1,'20d2fdb69bf57ac764e1ddd76d71c4e4f44e2171791d99314fd0e12bce973a2b','abababababababababababababababababababababababababababababababab','publishing','','2026-11-28T18:19:06Z');
INSERT INTO "bundle" VALUES('5555555555555555','models','item5','5',5,3000,1,1,'17121e4a074abe9b516d2d73947ea5997ddf0a002626d11e3330e9a3fef75280','abababababababababababababababababababababababababababababababab','refused','its key is revoked','2026-11-28T18:19:06Z');
INSERT INTO "bundle" VALUES('6666666666666666','models','item6','6',6,3000,1,1,'8f4af81c63ea8f449228240ead0abf48fa0d4ff1454fe1044ecd3e0aa0c5a078','abababababababababababababababababababababababababababababababab','expired','incomplete for longer than limits.keep_incomplete_days','2026-11-28T18:19:06Z');
CREATE TABLE channel (
    name TEXT PRIMARY KEY, sequence INTEGER NOT NULL, floor INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO "channel" VALUES('models',4,0);
CREATE TABLE channel_begin (
    channel TEXT PRIMARY KEY, first INTEGER NOT NULL, highest INTEGER NOT NULL
) STRICT;
INSERT INTO "channel_begin" VALUES('other',7,6);
CREATE TABLE heard (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "heard" VALUES(1,'eeeeeeeeeeeeeeee');
CREATE TABLE heartbeat (
    one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, number INTEGER NOT NULL
) STRICT;
CREATE TABLE issued (
    channel TEXT PRIMARY KEY, sequence INTEGER NOT NULL, first INTEGER NOT NULL
) STRICT;
INSERT INTO "issued" VALUES('models',9,9);
CREATE TABLE ledger (
    one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT NOT NULL, side TEXT NOT NULL, decisions INTEGER NOT NULL
) STRICT;
INSERT INTO "ledger" VALUES(1,'a35c0d46429fe4d5f7915ec2082af79e','receiver',13);
CREATE TABLE link_order (
    key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, number INTEGER NOT NULL, has_mac INTEGER NOT NULL,
    has_spoken INTEGER NOT NULL
) STRICT;
INSERT INTO "link_order" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1790000000,77,1,1);
CREATE TABLE parked (
    bundle TEXT NOT NULL, kind INTEGER NOT NULL, flags INTEGER NOT NULL, number INTEGER NOT NULL, have BLOB NOT NULL,
    boot TEXT NOT NULL, PRIMARY KEY (bundle, kind, flags, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "parked" VALUES('2222222222222222',1,0,5,X'F0','durable');
INSERT INTO "parked" VALUES('2222222222222222',1,0,6,X'0F','syncing 887d09d9-2575-4037-a4be-25bd3f9bb9ad');
INSERT INTO "parked" VALUES('2222222222222222',1,0,7,X'81','887d09d9-2575-4037-a4be-25bd3f9bb9ad');
CREATE TABLE peer_head (
    one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, hash TEXT NOT NULL
) STRICT;
INSERT INTO "peer_head" VALUES(1,9,'cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd');
CREATE TABLE postponed (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL
) STRICT;
INSERT INTO "postponed" VALUES(1,'dddddddddddddddd','models',9);
CREATE TABLE predecessor (
    number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE, channel TEXT NOT NULL, sequence INTEGER NOT NULL,
    since TEXT NOT NULL
) STRICT;
CREATE TABLE session (one INTEGER PRIMARY KEY CHECK (one = 1), admitted TEXT NOT NULL) STRICT;
INSERT INTO "session" VALUES(1,'[[1, 2, 3]]');
CREATE TABLE slab (
    bundle TEXT NOT NULL, number INTEGER NOT NULL, boot TEXT NOT NULL, PRIMARY KEY (bundle, number)
) STRICT, WITHOUT ROWID;
INSERT INTO "slab" VALUES('2222222222222222',0,'durable');
INSERT INTO "slab" VALUES('2222222222222222',1,'unproven 887d09d9-2575-4037-a4be-25bd3f9bb9ad');
INSERT INTO "slab" VALUES('2222222222222222',2,'syncing 887d09d9-2575-4037-a4be-25bd3f9bb9ad');
INSERT INTO "slab" VALUES('2222222222222222',3,'887d09d9-2575-4037-a4be-25bd3f9bb9ad');
INSERT INTO "slab" VALUES('4444444444444444',0,'887d09d9-2575-4037-a4be-25bd3f9bb9ad');
CREATE TABLE trust (version INTEGER PRIMARY KEY, sealed BLOB NOT NULL, taken TEXT NOT NULL) STRICT;
CREATE TABLE trust_floor (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, digest TEXT NOT NULL
) STRICT;
CREATE TABLE withdrawn (number INTEGER PRIMARY KEY, bundle TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "withdrawn" VALUES(1,'ffffffffffffffff');
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
CREATE UNIQUE INDEX used_sequence ON bundle (channel, sequence)
    WHERE state != 'refused' AND channel != 'trust';
CREATE UNIQUE INDEX used_version ON bundle (channel, name, version)
    WHERE state != 'refused' AND channel != 'trust';
COMMIT;
PRAGMA user_version = 1;
