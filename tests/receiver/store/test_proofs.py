"""What a signature proves to be missing, and what strangers make up beside it: the one never hides behind the other."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import CryptoSigner
from typer.testing import CliRunner

from diode.audit.verify import entries_of
from diode.console.budget import Newest, PerMinute
from diode.errors import ManifestError
from diode.protocol.resend_codes import ResendBundle, ResendSlabs, decode
from diode.protocol.sizes import MAX_SLABS
from receiver.cli.main import app
from receiver.inbox.folder import MAX_REASONS
from receiver.ledger.ledgers import StoreLedger, SupervisorLedger
from receiver.ledger.peer import MAX_JUNK_CHANNELS, PeerWriter
from receiver.peer.asking import PROOF_S
from receiver.peer.channels import begin_channel
from receiver.peer.completion import MOST_REMEMBERED, Endings
from receiver.peer.heartbeats import GAP_S, LOOK_EVERY_S
from receiver.peer.recording import HINTS_A_MINUTE
from receiver.peer.requests import MAX_GAPS, MAX_JUNK, MOST_KEPT, Request, drop_request, keep_request, request_gaps
from receiver.spool.disk import DiskHealth
from tests.enclave import Enclave
from tests.hearing import Hearing
from tests.link import Bundle, make_bundle
from tests.receiver.peer.test_heartbeats import beat, heads

ALICE, STRANGER = (CryptoSigner.generate_ed25519() for _ in range(2))


def series(*numbers: int, channel: str = "test") -> dict[int, Bundle]:
    """Lawful bundles, each naming the one before it."""
    made: dict[int, Bundle] = {}
    previous = None
    for n in range(min(numbers) - 1, max(numbers) + 1):
        if n:
            made[n] = make_bundle({"a": b"%d" % n}, sequence=n, signer=ALICE, previous=previous, channel=channel)
            previous = f"{made[n].number:016x}"
    return made


@pytest.fixture
def enclave(tmp_path: Path) -> Enclave:
    """Nothing was ever received."""
    return Enclave(tmp_path, {"alice.pub": ALICE}, "[channels.quiet]\nquota = 1000000\n")


def ledger_of(enclave: Enclave) -> StoreLedger:
    """As ``missing`` opens it."""
    return StoreLedger(enclave.config.state / "ledger.db", read_only=True)


def asked(enclave: Enclave, **options: Any) -> list[Request]:
    """What is asked for now."""
    with closing(ledger_of(enclave)) as ledger:
        return request_gaps(ledger, enclave.config.channels, **options)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_signed_predecessor_that_never_came(enclave: Enclave, restarted: bool) -> None:
    """It is asked for by its id, also after a restart, until it comes."""
    bundles = series(1, 2, 3)
    enclave.take(bundles[1])
    enclave.take(bundles[3])
    if restarted:
        enclave.restart()
    (request,) = asked(enclave)
    assert (ResendSlabs(bundles[2].number, ((0, MAX_SLABS),)), True) == (decode(request.code), request.is_signed)
    enclave.take(bundles[2])
    assert [] == asked(enclave)


def test_at_first_contact_only_the_bundle_before(enclave: Enclave) -> None:
    """Not 499."""
    bundles = series(500)
    enclave.take(bundles[500])
    assert [ResendSlabs(bundles[499].number, ((0, MAX_SLABS),))] == [decode(r.code) for r in asked(enclave)]


def test_more_than_one_is_missing(enclave: Enclave) -> None:
    """The last by its id, those before it by their numbers."""
    bundles = series(1, 5)
    enclave.take(bundles[1])
    enclave.take(bundles[5])
    codes = [decode(request.code) for request in asked(enclave)]
    assert [
        ResendSlabs(bundles[4].number, ((0, MAX_SLABS),)),
        ResendBundle("test", 2),
        ResendBundle("test", 3),
    ] == codes


def test_what_heartbeats_say_takes_no_proof_away(enclave: Enclave) -> None:
    """Withdrawn, over, numbered otherwise: it stays, and says what was heard."""
    bundles = series(1, 2, 3)
    enclave.take(bundles[1])
    enclave.take(bundles[3])
    enclave.peer.note_cancelled([f"{bundles[2].number:016x}"])
    enclave.peer.note_high_watermarks({"test": 1})
    (request,) = asked(enclave)
    assert (True, True) == (request.is_signed, "says that it was withdrawn" in request.text)


def test_what_has_begun_or_waits_stays_listed(enclave: Enclave) -> None:
    """Whatever a heartbeat says of it: its manifest is signed."""
    begun, waits = (make_bundle({"a": b"%d" % n}, sequence=n, signer=ALICE) for n in (1, 2))
    enclave.take_manifest(begun, begun.number)
    ids = [f"{bundle.number:016x}" for bundle in (begun, waits)]
    enclave.store.records.ledger.waiting.note_postponed(ids[1], "test", 2)
    enclave.peer.note_cancelled(ids)
    result = CliRunner().invoke(app, ["-c", str(enclave.folder / "receiver.toml"), "missing"])
    assert (True, True) == tuple(bundle in result.output for bundle in ids)


def test_a_person_dismisses_it(enclave: Enclave) -> None:
    """By saying where the channel begins."""
    bundles = series(1, 5)
    enclave.take(bundles[1])
    enclave.take(bundles[5])
    begin_channel(enclave.config, "test", 5)
    assert [] == asked(enclave)


def flood(peer: PeerWriter, count: int = 300) -> None:
    """Whoever holds the link key makes up bundles, channels and numbers."""
    peer.note_heard(f"{0xFACE0000 + n:016x}" for n in range(count))
    peer.note_high_watermarks({f"aaa-junk-{n}": 1 + n for n in range(count)} | {"test": (1 << 63) - 1, "quiet": 7})
    peer.note_cancelled(f"{0xFACE0000 + n:016x}" for n in range(0, count, 7))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("restarted", [False, True])
def test_invented_bundles_and_channels_hide_nothing(enclave: Enclave, when: str, restarted: bool) -> None:
    """What is proven stands first and has its own places; a configured channel and the next number have theirs."""
    bundles = series(1, 5)
    if when == "before":
        flood(enclave.peer)
    enclave.take(bundles[1])
    enclave.take(bundles[5])
    if when == "after":
        flood(enclave.peer)
    enclave.peer.keep_channels(enclave.config.channels)
    if restarted:
        enclave.restart()
    requests = asked(enclave)
    signed = [decode(request.code) for request in requests[:3]]
    assert [
        ResendSlabs(bundles[4].number, ((0, MAX_SLABS),)),
        ResendBundle("test", 2),
        ResendBundle("test", 3),
    ] == signed
    told = [decode(request.code) for request in requests if not request.is_signed]
    assert (True, True) == (ResendBundle("test", 6) in told, ResendBundle("quiet", 7) in told)
    assert len([c for c in told if isinstance(c, ResendBundle) and "junk" in c.channel]) == MAX_JUNK
    assert len(told) <= 2 * MAX_GAPS + MAX_JUNK
    assert len(enclave.store.records.ledger.peer.high_watermarks()) <= MAX_JUNK_CHANNELS + 2


def hearing_of(ledger: StoreLedger, folder: Path) -> Hearing:
    """As the supervisor has it."""
    return Hearing(SupervisorLedger(ledger.path), Endings(), DiskHealth(lambda _: None), heads(folder), ())


def test_alarms_about_inventions_are_few(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten a minute one by one, then their number; what is proven is said in any case, once."""
    ledger = StoreLedger(tmp_path / "ledger.db")
    bundles = series(2)
    ledger.bundles.accept("b" * 16, bundles[2].manifest, "signer")
    hearing = hearing_of(ledger, tmp_path)
    for second in range(100):
        ids = [(f"{second * 8 + n + 1:016x}", "over") for n in range(8)]
        hearing.hear(beat(1 + second, *ids), second * 0.3, {})
        hearing.look(second * 0.3)
    hearing.look(200.0)
    said = capsys.readouterr().out
    assert 1 == said.count("named by the signed manifest")
    assert HINTS_A_MINUTE + 1 == said.count("bundle_missing")
    assert 1 == said.count("bundles_perhaps_missing")


def test_withdrawals_are_said_so_often_a_minute(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """However many a heartbeat names."""
    hearing = hearing_of(StoreLedger(tmp_path / "ledger.db"), tmp_path)
    for turn in range(30):
        hearing.hear(beat(1 + turn, *((f"{turn * 8 + n + 1:016x}", "withdrawn") for n in range(8))), turn / 10, {})
    assert HINTS_A_MINUTE == capsys.readouterr().out.count("bundle_cancelled")


def test_a_proof_is_said_whatever_heartbeats_claim(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also by a sender, or somebody, who is never idle; after ten minutes."""
    ledger = StoreLedger(tmp_path / "ledger.db")
    ledger.bundles.accept("b" * 16, series(2)[2].manifest, "signer")
    hearing = hearing_of(ledger, tmp_path)
    for second in range(5):
        hearing.hear(beat(1 + second, ("a" * 16, "sending")), second * GAP_S, {})
        hearing.look(second * GAP_S)
    assert "bundle_missing" not in capsys.readouterr().out
    ledger._connection.execute(
        "UPDATE predecessor SET since = strftime('%Y-%m-%dT%H:%M:%SZ', 'now', ?)", (f"-{PROOF_S + 5} seconds",)
    )
    for second in range(5):
        hearing.look(100.0 + second * LOOK_EVERY_S)
    assert 1 == capsys.readouterr().out.count("bundle_missing")


@pytest.mark.long
def test_codes_on_the_disk_are_few(tmp_path: Path) -> None:
    """The newest of each kind, and inventions in a folder of their own."""
    for n in range(300):
        keep_request(tmp_path, f"{n:016x}", Request("what", "AAAAA-BBBBB", is_signed=False))
        if n < 5:
            keep_request(tmp_path, f"{0xABC + n:016x}", Request("what", "AAAAA-BBBBB", is_signed=True))
    resend = tmp_path / "resend"
    assert 5 == len(list(resend.glob("*.txt")))
    kept = sorted(path.stem for path in (resend / "unsigned").glob("*.txt"))
    assert [f"{n:016x}" for n in range(300 - MOST_KEPT[False], 300)] == kept
    assert MOST_KEPT[False] == len(list((resend / "unsigned").glob("*.png")))
    drop_request(tmp_path, f"{0xABC:016x}")
    drop_request(tmp_path, f"{299:016x}")
    drop_request(tmp_path, "f" * 16)
    assert (4, MOST_KEPT[False] - 1) == (
        len(list(resend.glob("*.txt"))),
        len(list((resend / "unsigned").glob("*.txt"))),
    )


def test_signed_codes_are_bounded_too(tmp_path: Path) -> None:
    """The newest hundred; the others are made by ``missing``."""
    for n in range(MOST_KEPT[True] + 7):
        keep_request(tmp_path, f"{n:016x}", Request("what", "AAAAA-BBBBB", is_signed=True))
    assert MOST_KEPT[True] == len(list((tmp_path / "resend").glob("*.txt")))


def junk(n: int) -> Bundle:
    """A manifest by nobody."""
    return make_bundle({"a": b"x"}, signer=STRANGER, sequence=n + 1)


@pytest.mark.parametrize("restarted", [False, True])
def test_junk_manifests_hide_no_signed_refusal(enclave: Enclave, restarted: bool) -> None:
    """Hundreds before and after it: its reason is there, and so are its alarm and its entry in the audit log."""
    stranger = junk(0)
    for n in range(150):
        enclave.take_manifest(stranger, n + 1)
        if n % 10 == 0:
            enclave.tick()
    if restarted:
        enclave.restart()
    refused = make_bundle({"a": b"1"}, signer=ALICE, expires="2026-01-02T00:00:00Z")
    enclave.take(refused)
    alarms = enclave.refusals
    for n in range(150):
        enclave.take_manifest(stranger, n + 1000)
    quarantine = enclave.config.inbox.path / ".diode" / "quarantine"
    assert (quarantine / f"{refused.number:016x}" / "reason.json").exists()
    assert ("expired", 15) in alarms
    entries = entries_of(enclave.config.audit_folder)
    assert f"{refused.number:016x}" in [e.bundle for e in entries if e.what == "refused"]
    assert len(list((quarantine / "unsigned").iterdir())) <= MAX_REASONS[False]


@pytest.mark.long
def test_junk_manifests_grow_the_audit_log_slowly(enclave: Enclave) -> None:
    """Ten a minute, and one entry with how many more; it never stops to say so."""
    stranger = junk(0)
    for minute in range(3):
        for n in range(5000 if minute == 1 else 50):
            enclave.take_manifest(stranger, 1 + n + minute * 10_000)
        enclave._now += 61.0
        enclave.tick()
    entries = [e for e in entries_of(enclave.config.audit_folder) if e.what == "quarantined"]
    sums = [e.detail for e in entries if e.detail and "more within a minute" in e.detail]
    assert (30 + len(sums), True) == (len(entries), len(sums) >= 3)
    assert 5100 == 30 + sum(int((detail or "0").split()[0]) for detail in sums)


def test_a_known_key_that_may_not_sign_is_told_apart(tmp_path: Path) -> None:
    """A threshold not met, in the middle of junk; and a copy of it under other ids is junk."""
    enclave = Enclave(tmp_path, {"alice.pub": ALICE}, "[channels.test]\nsignatures = 2\n")
    for n in range(60):
        enclave.take_manifest(junk(0), n + 1)
    alone = make_bundle({"a": b"1"}, signer=ALICE)
    for n in range(60):
        enclave.take_manifest(alone, n + 1000)
    enclave.take_manifest(alone, alone.number)
    assert ("threshold", 12) == enclave.refusals[-1]
    quarantine = enclave.config.inbox.path / ".diode" / "quarantine"
    assert {"unsigned", f"{alone.number:016x}"} == {path.name for path in quarantine.iterdir()}


@pytest.mark.long
def test_signed_reasons_are_bounded(enclave: Enclave) -> None:
    """The newest stay; what has content is a person's to remove."""
    inbox, error = enclave.store.records.inbox, ManifestError("wrong")
    (inbox.spool / ("f" * 16)).mkdir()
    (inbox.spool / ("f" * 16) / "data").write_bytes(b"x")
    inbox.set_aside("f" * 16, error, {}, inbox.spool_folder)
    for n in range(MAX_REASONS[True] + 20):
        inbox.set_aside(f"{n:016x}", error, {}, None)
    names = {path.name for path in inbox.quarantine.iterdir()}
    assert (True, True, False) == ("f" * 16 in names, f"{MAX_REASONS[True] + 19:016x}" in names, "0" * 16 in names)
    assert len(names) <= MAX_REASONS[True] + 1


@pytest.mark.long
def test_endings_push_out_no_signed_bundle() -> None:
    """Invented bundles that are over at once, while the disk is slow."""
    endings = Endings()
    endings.over("real", 0.0, receiving=True)
    for n in range(MOST_REMEMBERED * 2):
        endings.more(f"{n:016x}")
        endings.over(f"{n:016x}", 0.0, receiving=False)
    due = endings.due(9.0, 1, 1)
    assert ("real", MOST_REMEMBERED + 1) == (due[0], len(due))


def test_budgets() -> None:
    """So many a minute, the rest counted once; the newest are remembered."""
    budget = PerMinute(2)
    assert [True, True, False, False] == [budget.take(1.0) for _ in range(4)]
    assert (0, 2, 0) == (budget.left_out(30.0), budget.left_out(61.5), budget.left_out(200.0))
    assert budget.take(201.0)
    newest = Newest[int](2)
    assert [True, False, True, True, True] == [newest.meet(n) for n in (1, 1, 2, 3, 1)]
