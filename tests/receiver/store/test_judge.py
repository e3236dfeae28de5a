"""What counts of a bundle, and each reason for which it does not: bytes in, a verdict out, and nothing else touched."""

from collections.abc import Callable

import pytest
from securesystemslib.signer import CryptoSigner

from diode.bundle.manifest import padded_manifest
from diode.bundle.opened import Opened
from diode.bundle.tables import Tables
from diode.errors import ContentError, ManifestError
from diode.protocol.handed_over import SlabKey
from diode.protocol.sizes import Kind, ObjectType
from diode.trust.roles import Role, Trust, TrustedKey, open_manifest
from receiver.store.judge import (
    ArrivedManifest,
    ArrivedSlab,
    BundleJudge,
    Early,
    Genuine,
    Incomplete,
    Opener,
    Redundant,
    Rejected,
    Signed,
    TableJudge,
    Wrong,
    judge_manifest,
)
from tests.link import DATA, OBJECT, Bundle, make_bundle

ALICE, STRANGER = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
FILES, SLABS = ObjectType.FILES, ObjectType.SLABS
DATA_PART = (DATA, 0)
NOW = "2026-06-01T00:00:00Z"
SLAB_BYTES = 200 * 64 * 448
STREAM = bytes(range(256)) * (SLAB_BYTES // 256) + b"the last slab is short"


def bundle_of(signer: CryptoSigner = ALICE) -> Bundle:
    """Two slabs of data in small symbols."""
    return make_bundle({"model": STREAM}, mtu=576, profile="clean", signer=signer)


BUNDLE = bundle_of()


def trusting(**fields: object) -> Trust:
    """Alice's key, as ``fields`` of TrustedKey say, for every channel."""
    return Trust([TrustedKey(ALICE.public_key, "alice", **fields)])  # type: ignore[arg-type]


def opening(trust: Trust) -> Opener:
    """Who verifies envelopes."""
    return lambda sealed: open_manifest(sealed, trust, NOW)


def padded(bundle: Bundle) -> bytes:
    """A manifest as it travels."""
    return bundle.parts[OBJECT, int(ObjectType.MANIFEST)]


def changed(bundle: Bundle, old: bytes, new: bytes) -> ArrivedManifest:
    """Its envelope with other bytes."""
    assert old in padded(bundle)
    return ArrivedManifest(bundle.number, padded(bundle).replace(old, new, 1))


OTHER = make_bundle({"other": b"1"}, mtu=576, profile="clean", signer=ALICE, sequence=2)
ONLY_TESTS = Trust([TrustedKey(ALICE.public_key, "alice")], {"models": Role()})
TWO_PEOPLE = trusting().demanding({"test": Role(2)})
KEYID = ALICE.public_key.keyid.encode()

REJECTED: dict[str, tuple[ArrivedManifest, Trust, str]] = {
    "no envelope": (ArrivedManifest(BUNDLE.number, b"{}"), trusting(), "manifest"),
    "nothing but padding": (ArrivedManifest(BUNDLE.number, b"\0" * 448), trusting(), "manifest"),
    "no JSON": (ArrivedManifest(BUNDLE.number, b"\xff" * 448), trusting(), "manifest"),
    "another type of payload": (changed(BUNDLE, b"manifest.v1", b"decision.v1"), trusting(), "manifest"),
    "by a stranger": (
        ArrivedManifest(BUNDLE.number, padded(bundle_of(STRANGER))),
        trusting(),
        "trust",
    ),
    "by a revoked key": (ArrivedManifest(BUNDLE.number, padded(BUNDLE)), trusting(revoked="lost"), "revoked_key"),
    "by a key that is too old": (
        ArrivedManifest(BUNDLE.number, padded(BUNDLE)),
        trusting(expires="2026-01-01T00:00:00Z"),
        "expired_key",
    ),
    "changed after it was signed": (
        ArrivedManifest(BUNDLE.number, padded(bundle_of(STRANGER)).replace(STRANGER.public_key.keyid.encode(), KEYID)),
        trusting(),
        "signature",
    ),
    "by somebody who may not sign for the channel": (
        ArrivedManifest(BUNDLE.number, padded(BUNDLE)),
        ONLY_TESTS,
        "signer",
    ),
    "by too few people": (ArrivedManifest(BUNDLE.number, padded(BUNDLE)), TWO_PEOPLE, "threshold"),
    "another bundle's": (ArrivedManifest(BUNDLE.number, padded(OTHER)), trusting(), "manifest"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_a_manifest_that_does_not_count(case: str) -> None:
    """It is rejected under the id that it came for, with its reason, and without its padding."""
    arrived, trust, reason = REJECTED[case]
    verdict = judge_manifest(arrived, opening(trust))
    assert isinstance(verdict, Rejected)
    assert (BUNDLE.number, reason) == (verdict.number, verdict.error.reason)
    assert arrived.padded.rstrip(b"\0") == verdict.sealed


def test_a_manifest_that_counts() -> None:
    """Its verdict has what was signed, by whom, and the envelope as it was sealed."""
    verdict = judge_manifest(ArrivedManifest(BUNDLE.number, padded(BUNDLE)), opening(trusting()))
    assert isinstance(verdict, Signed)
    assert (BUNDLE.manifest, ALICE.public_key.keyid) == (verdict.opened.manifest, verdict.opened.signer)
    assert padded(BUNDLE) == padded_manifest(verdict.sealed, BUNDLE.manifest.shape.symbol_bytes)


def test_what_the_disk_refuses_is_no_verdict() -> None:
    """An error that is not about the manifest goes to who asked."""

    def fail(_: bytes) -> Opened:
        raise OSError("the disk")

    with pytest.raises(OSError, match="the disk"):
        judge_manifest(ArrivedManifest(BUNDLE.number, padded(BUNDLE)), fail)


def never() -> list[bytes]:
    """Content that must not be asked for."""
    raise AssertionError


def test_a_table_is_judged_when_all_of_it_came() -> None:
    """Not before, since only the whole has a digest."""
    content = bytes(range(250)) * 20_000
    made = make_bundle({"a": b"1"}, mtu=576, profile="clean", signer=ALICE, table=content)
    table = TableJudge(made.manifest.files, made.manifest.shape.symbol_bytes)
    last = -(-table.size // table.slab(0).length) - 1
    assert last > 0
    for number in range(last):
        table.came(number)
        assert (False, Incomplete()) == (table.is_wanted(number), table.judge(never))
    table.came(last)
    assert (Genuine(), True) == (table.judge(lambda: [content[:1000], content[1000:]]), table.is_verified)


def test_a_wrong_table_comes_again_as_a_whole() -> None:
    """Nobody can say which slab of it was wrong."""
    table = TableJudge(BUNDLE.manifest.slabs, BUNDLE.manifest.shape.symbol_bytes)
    table.came(0)
    assert Wrong((0,)) == table.judge(lambda: [bytes(table.size)])
    assert (True, False) == (table.is_wanted(0), table.is_verified)
    table.came(0)
    assert Genuine() == table.judge(lambda: [BUNDLE.parts[OBJECT, int(SLABS)]])


def test_an_empty_table_is_judged_without_a_slab() -> None:
    """A bundle without files has no line, and no slab that could bring one."""
    made = make_bundle({}, signer=ALICE)
    assert Genuine() == TableJudge(made.manifest.slabs, made.manifest.shape.symbol_bytes).judge(list)


@pytest.mark.parametrize("content", [b"", b"something else", BUNDLE.parts[OBJECT, int(FILES)]])
def test_a_table_of_an_earlier_run_counts_only_when_it_is_the_signed_one(content: bytes) -> None:
    """Whatever lies there otherwise, all of the table is still wanted."""
    table = TableJudge(BUNDLE.manifest.files, BUNDLE.manifest.shape.symbol_bytes)
    table.recognise([content])
    is_it = content == BUNDLE.parts[OBJECT, int(FILES)]
    assert (is_it, not is_it) == (table.is_verified, table.is_wanted(0))


def with_tables(bundle: Bundle = BUNDLE) -> BundleJudge:
    """Both tables are verified, and not read yet."""
    judge = BundleJudge(bundle.manifest)
    for kind in (FILES, SLABS):
        judge.tables[kind].came(0)
        assert Genuine() == judge.tables[kind].judge(lambda kind=kind: [bundle.parts[OBJECT, int(kind)]])  # type: ignore[misc]
    return judge


def read(judge: BundleJudge, bundle: Bundle) -> Tables:
    """Read both tables."""
    files, slabs = (bundle.parts[OBJECT, int(kind)] for kind in (FILES, SLABS))
    return judge.read_tables(files[: bundle.manifest.lines_bytes].splitlines(keepends=True), files, slabs)


def ready(bundle: Bundle = BUNDLE) -> BundleJudge:
    """Both tables are verified and read."""
    judge = with_tables(bundle)
    assert bundle.manifest.files.entries == len(read(judge, bundle).index)
    return judge


FORGED: dict[str, tuple[Callable[[], Bundle], str]] = {
    "no table": (lambda: make_bundle({"a": b"1"}, signer=ALICE, table=b"no table\n"), "manifest"),
    "a file too few": (lambda: make_bundle({"a": b"1"}, signer=ALICE, entries=2), "manifest"),
    "a path that climbs": (lambda: make_bundle({"../a": b"1"}, signer=ALICE), "path"),
    "an absolute path": (lambda: make_bundle({"/a": b"1"}, signer=ALICE), "path"),
    "two names that are one": (lambda: make_bundle({"A": b"1", "a": b"2"}, signer=ALICE), "path"),
}


@pytest.mark.parametrize("case", FORGED)
def test_a_signed_table_that_breaks_the_rules(case: str) -> None:
    """Its digest is right and its content is not: the bundle is refused, and never ready for data."""
    make, reason = FORGED[case]
    bundle = make()
    judge = with_tables(bundle)
    with pytest.raises(ContentError) as refused:
        read(judge, bundle)
    assert (reason, False) == (refused.value.reason, judge.is_ready)
    assert isinstance(refused.value, ManifestError)


def test_data_is_early_until_the_tables_are_read() -> None:
    """Also when they are verified: what is in them may still refuse the bundle."""
    for judge in (BundleJudge(BUNDLE.manifest), with_tables()):
        assert Early() == judge.judge_slab(ArrivedSlab(0, STREAM[:SLAB_BYTES]))
        assert (False, False) == (judge.is_ready, judge.is_complete)


WRONG: dict[str, bytes] = {
    "one bit": bytes([STREAM[0] ^ 1]) + STREAM[1:SLAB_BYTES],
    "too short": STREAM[: SLAB_BYTES - 1],
    "too long": STREAM[: SLAB_BYTES + 1],
    "nothing": b"",
    "another slab": STREAM[SLAB_BYTES:],
}


@pytest.mark.parametrize("case", WRONG)
def test_a_slab_that_is_not_as_signed_comes_again(case: str) -> None:
    """It alone: its neighbours have digests of their own."""
    judge = ready()
    assert Wrong((0,)) == judge.judge_slab(ArrivedSlab(0, WRONG[case]))
    assert Genuine() == judge.judge_slab(ArrivedSlab(1, STREAM[SLAB_BYTES:]))


def test_a_bundle_is_complete_when_every_slab_lies_at_its_place() -> None:
    """A verdict alone stores nothing, and what is stored is not judged again."""
    judge = ready()
    assert Genuine() == judge.judge_slab(ArrivedSlab(1, memoryview(STREAM)[SLAB_BYTES:]))
    assert (2, 0) == (judge.missing, judge.stored_bytes)
    judge.note_stored(1)
    assert Redundant() == judge.judge_slab(ArrivedSlab(1, b"whatever"))
    assert (1, len(STREAM) - SLAB_BYTES, False) == (judge.missing, judge.stored_bytes, judge.is_complete)
    judge.note_stored(0)
    assert (0, len(STREAM), True) == (judge.missing, judge.stored_bytes, judge.is_complete)
    judge.note_lost(0)
    assert (1, False) == (judge.missing, judge.is_complete)


def test_shapes_of_slabs_are_the_signed_ones() -> None:
    """A slab that the bundle does not have has none."""
    judge = BundleJudge(BUNDLE.manifest)
    number = BUNDLE.number
    assert [SLAB_BYTES, len(STREAM) - SLAB_BYTES] == [judge.slab(SlabKey(number, *DATA_PART, n)).length for n in (0, 1)]
    assert BUNDLE.manifest.files.size == judge.slab(SlabKey(number, Kind.OBJECT, int(FILES), 0)).length
    for key in (SlabKey(number, *DATA_PART, 2), SlabKey(number, Kind.OBJECT, int(SLABS), 1)):
        with pytest.raises(IndexError):
            judge.slab(key)
