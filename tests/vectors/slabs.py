"""The vectors of ``slabs/``: what a receiver keeps in memory decides about a datagram (docs/wire-format.md, section 7).

Each is a list of steps that a receiver takes one after another. All datagrams are of ``auth`` none, and of a session
that a heartbeat has announced.
"""

from typing import Any

from tests import oracle
from tests.vectors.datagrams import BUNDLE, S, Vector, data, heartbeat, painted

CLEAN = {"symbol_bytes": S, "columns": 64, "k": 200, "r": 10}
ROOM = 64 << 20
SHORT, TALL = 900, 64 * S + 1  # bytes of stream: one row of 3 symbols; two rows, of which the last has one


def row_symbols(stream: bytes, columns: int, rows: list[int]) -> dict[int, bytes]:
    """Symbols of a slab whose bytes are ``stream``, by number: of these rows, which may be repair."""
    k = -(-len(stream) // (columns * S))
    padded = stream.ljust(k * columns * S, b"\0")
    source = [[padded[(row * columns + c) * S :][:S] for row in range(k)] for c in range(columns)]
    found: dict[int, bytes] = {}
    for column in range(columns):
        made = dict(zip(rows, oracle.repair(source[column], rows), strict=True))
        found |= {row * columns + column: made[row] for row in rows}
    return found


def symbol(content: bytes, number: int, counter: int = 0, **changes: Any) -> bytes:
    """One datagram of the short stream's only slab, if ``changes`` do not say otherwise."""
    place = {"slab": 0, "symbol": number, "columns": 3, "k": 1, "counter": counter, **changes}
    return data("none", content=content, **place)


def source(stream: bytes, number: int, **changes: Any) -> bytes:
    """A datagram with the symbol of this number."""
    return symbol(stream[number * S :][:S].ljust(S, b"\0"), number, counter=number, **changes)


def manifest(content: bytes, number: int = 0, **changes: Any) -> bytes:
    """A datagram of a manifest of one symbol."""
    return data(
        "none", content=content, **{"kind": 2, "flags": 0, "slab": 0, "symbol": number, "columns": 1, "k": 1, **changes}
    )


def received(run: bytes, *complete: dict[str, Any], **drops: int) -> Vector:
    """A step: datagrams come."""
    return {"received": run.hex(), "drops": drops, "complete": list(complete)}


def verified(total: int, *complete: dict[str, Any], stored: list[int] | None = None, **drops: int) -> Vector:
    """A step: the bundle's manifest is verified."""
    signed = {"bundle": f"{BUNDLE:016x}", "shape": CLEAN, "stream_bytes": total, "files_bytes": 200, "slabs_bytes": 32}
    return {"verified": {**signed, "stored": stored or []}, "drops": drops, "complete": list(complete)}


def ended(outcome: str) -> Vector:
    """A step: the bundle is published (``redundant``) or refused for good (``refused``)."""
    return {"ended": {"bundle": f"{BUNDLE:016x}", "outcome": outcome}, "drops": {}, "complete": []}


def whole(content: bytes, kind: int = 1, flags: int = 0, slab: int = 0) -> dict[str, Any]:
    """A slab that is complete."""
    return {"kind": kind, "flags": flags, "slab": slab, "bytes": content.hex()}


def scenario(says: str, *steps: Vector, memory_bytes: int = ROOM) -> Vector:
    """What one file holds."""
    return {
        "says": says,
        "symbol_bytes": S,
        "memory_bytes": memory_bytes,
        "heartbeat": heartbeat(mode="none").hex(),
        "steps": list(steps),
    }


def good_scenarios() -> dict[str, Vector]:
    """Slabs that are completed."""
    stream = painted(SHORT)
    parts = [source(stream, n) for n in range(3)]
    repair = row_symbols(stream, 3, [1, 250])
    wrong, sealed = bytes([7]) * S, painted(S, 9)
    return {
        "good_source_rows": scenario(
            "all source symbols, in another order",
            verified(SHORT),
            received(parts[2] + parts[0]),
            received(parts[1], whole(stream)),
        ),
        "good_repair_rows": scenario(
            "one source symbol lost, and repair of the last row that a pass may send",
            verified(SHORT),
            received(parts[0] + parts[2] + symbol(repair[250 * 3 + 1], 250 * 3 + 1, counter=9), whole(stream)),
        ),
        "good_before_the_manifest": scenario(
            "data comes first, and is taken when its manifest is verified",
            received(b"".join(parts)),
            verified(SHORT, whole(stream)),
        ),
        "good_another_shape_before_the_manifest": scenario(
            "until a shape is signed the newer claim rules",
            received(parts[0]),
            received(source(stream, 1, k=2)),
            received(b"".join(parts)),
            verified(SHORT, whole(stream)),
        ),
        "good_manifest_after_a_wrong_one": scenario(
            "a manifest that does not verify is held against nothing: it is collected anew",
            received(manifest(wrong), whole(wrong, 2, 0)),
            received(manifest(sealed), whole(sealed, 2, 0)),
        ),
        "good_slab_of_no_bundle_known": scenario("kept, and complete for nobody yet", received(b"".join(parts))),
    }


def bundle_scenarios() -> dict[str, Vector]:
    """Bundles and slabs that want nothing more."""
    stream = painted(SHORT)
    one = source(stream, 0)
    return {
        "refused": scenario("its bundle was refused", verified(SHORT), ended("refused"), received(one, refused=1)),
        "redundant_bundle": scenario(
            "its bundle is published", verified(SHORT), ended("redundant"), received(one, redundant=1)
        ),
        "redundant_slab": scenario("its slab is stored", verified(SHORT, stored=[0]), received(one, redundant=1)),
        "redundant_slab_before_the_manifest": scenario(
            "what came early of a slab that is stored", received(one), verified(SHORT, stored=[0], redundant=1)
        ),
        "redundant_manifest": scenario(
            "its manifest is verified", verified(SHORT), received(manifest(painted(S)), redundant=1)
        ),
        "memory": scenario("no room for a slab", verified(SHORT), received(one, memory=1), memory_bytes=4096),
        "memory_before_the_manifest": scenario("no room for a slab", received(one, memory=1), memory_bytes=4096),
    }


def geometry_scenarios() -> dict[str, Vector]:
    """Symbols that the signed manifest, or any manifest, rules out."""
    stream, tall = painted(SHORT), painted(TALL)
    one, place = source(stream, 0), {"columns": 64, "k": 2}
    beyond = symbol(painted(S), 251 * 3)
    tail = symbol(bytes(S), 65, **place)
    table: dict[str, Any] = {"kind": 2, "flags": 2, "columns": 1, "k": 1, "slab": 0}
    second = table | {"slab": 1}
    known = {
        "slab": ("a slab behind the last one", source(stream, 0, slab=1)),
        "k": ("k = 2, and 1 is signed", source(stream, 0, k=2)),
        "columns": ("D = 2, and 3 is signed", source(stream, 0, columns=2)),
        "row": ("row 251 of k' = 1 and r' = 10, of which passes send rows up to 250", beyond),
        "table_row": ("row 3 of a table's single row", data("none", content=painted(S), symbol=3, **table)),
        "table_slab": ("the second slab of a table that has one", data("none", content=painted(S), **second)),
    }
    early = {
        "object_k": ("k = 65 of an object", data("none", content=painted(S), symbol=0, **{**table, "k": 65})),
        "object_row": ("row 3 x k of an object", data("none", content=painted(S), symbol=3, **table)),
        "manifest_slab": ("the second slab of a manifest", manifest(painted(S), slab=1)),
        "manifest_length": (
            "a manifest of more than 262144 bytes and a row",
            manifest(painted(S), columns=64, k=11),
        ),
    }
    return {
        **{
            f"signed_geometry_{name}": scenario(says, verified(SHORT), received(run, signed_geometry=1))
            for name, (says, run) in known.items()
        },
        **{
            f"signed_geometry_{name}": scenario(says, received(run, signed_geometry=1))
            for name, (says, run) in early.items()
        },
        "signed_geometry_zero_tail": scenario(
            "symbol 65 of 64 + 1: it is zero, and never sent", verified(TALL), received(tail, signed_geometry=1)
        ),
        "signed_geometry_row_before_the_manifest": scenario(
            "row 251 came before anybody knew that no pass sends it",
            received(one + beyond),
            verified(SHORT, signed_geometry=1),
        ),
        "signed_geometry_zero_tail_before_the_manifest": scenario(
            "symbol 65 came before anybody knew that it is never sent",
            received(source(tall, 64, **place) + tail),
            verified(TALL, signed_geometry=1),
        ),
        "signed_geometry_shape_before_the_manifest": scenario(
            "what came early claims another shape", received(one), verified(TALL, signed_geometry=1)
        ),
    }


def symbol_scenarios() -> dict[str, Vector]:
    """Symbols that are there already."""
    stream = painted(SHORT)
    parts = [source(stream, n) for n in range(3)]
    other = symbol(painted(S, 99), 0, counter=7)
    return {
        "duplicate": scenario("twice the same", verified(SHORT), received(parts[0]), received(parts[0], duplicate=1)),
        "duplicate_in_one_run": scenario("twice in a run", verified(SHORT), received(parts[0] * 2, duplicate=1)),
        "conflict": scenario(
            "other bytes under a number: the first ones are kept",
            verified(SHORT),
            received(parts[0]),
            received(other, conflict=1),
            received(parts[1] + parts[2], whole(stream)),
        ),
        "conflict_before_the_manifest": scenario(
            "other bytes under a number: until the manifest is verified the newer ones are kept",
            received(other),
            received(parts[0], conflict=1),
            received(parts[1] + parts[2]),
            verified(SHORT, whole(stream)),
        ),
    }


def scenarios() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    return good_scenarios() | bundle_scenarios() | geometry_scenarios() | symbol_scenarios()
