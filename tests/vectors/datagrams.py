"""The vectors of ``wire/``, and their datagrams: headers by ``struct``, keys by ``hmac``, repair by the oracle.

A datagram vector says what a receiver holds (``link_keys``, ``auth``), what it received before (``before``, all of
it accepted), the ``run`` it receives now, and the outcome: ``accepted`` (numbers of the data and object datagrams
that passed, with their opened ``symbols``), ``heartbeats`` accepted from the run, and ``drops`` by reason.
"""

import hashlib
import hmac
import json
import struct
from typing import Any, Literal

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests import oracle

HEADER = struct.Struct(">IBBHQQQIHHBB6s")
S = 448
LINK_KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
SESSION = 0x0123456789ABCDEF
HEARTBEAT_SESSION = 0xFEDCBA9876543210
BUNDLE = 0x1122334455667788

Mode = Literal["gmac", "aead", "none"]
Vector = dict[str, Any]


def painted(length: int, start: int = 0) -> bytes:
    """Bytes with period 251, which no power of two hides."""
    return bytes((start + i) % 251 for i in range(length))


def key_id(link_key: bytes) -> int:
    """The public number of a link key."""
    return int.from_bytes(hashlib.sha256(b"diode link key id 1" + link_key).digest()[:2], "big")


def session_key(link_key: bytes, session: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869) for one block of output."""
    extracted = hmac.digest(session.to_bytes(8, "big"), link_key, "sha256")
    return hmac.digest(extracted, b"diode link session 1\x01", "sha256")


def header(**changes: Any) -> bytes:
    """The header of a good data datagram, with ``changes``."""
    fields: dict[str, Any] = {
        "magic_version": 0x44494F01,
        "kind": 1,
        "flags": 0,
        "key_id": key_id(LINK_KEY),
        "session": SESSION,
        "counter": 5,
        "bundle": BUNDLE,
        "slab": 3,
        "symbol": 2 * 64 + 7,
        "symbol_bytes": S,
        "columns": 64,
        "k": 200,
        "reserved": bytes(6),
    }
    assert changes.keys() <= fields.keys()
    return HEADER.pack(*(fields | changes).values())


def seal(head: bytes, symbol: bytes, mode: Mode = "gmac", link_key: bytes = LINK_KEY) -> bytes:
    """A whole datagram."""
    if mode == "none":
        return head + symbol + bytes(16)
    cipher = AESGCM(session_key(link_key, int.from_bytes(head[8:16], "big")))
    nonce = head[12:24]
    if mode == "aead":
        return head + cipher.encrypt(nonce, symbol, head)
    return head + symbol + cipher.encrypt(nonce, b"", head + symbol)


def data(mode: Mode = "gmac", link_key: bytes = LINK_KEY, content: bytes | None = None, **changes: Any) -> bytes:
    """A data datagram, good but for ``changes``, sealed over them; ``content`` is its symbol."""
    return seal(header(**changes), painted(S) if content is None else content, mode, link_key)


def heartbeat(
    epoch: int = 7,
    number: int = 1,
    mode: Mode = "gmac",
    counter: int = 0,
    session: int = HEARTBEAT_SESSION,
    **changes: Any,
) -> bytes:
    """A heartbeat that lists SESSION; ``changes`` are other fields of its body."""
    return sealed_heartbeat(heartbeat_text(epoch, number, **changes), mode, counter, session)


def heartbeat_text(epoch: int, number: int, **changes: Any) -> bytes:
    """The body of a heartbeat that lists SESSION."""
    body: dict[str, Any] = {
        "epoch": epoch,
        "number": number,
        "clock": 1_700_000_000,
        "sessions": {f"{SESSION:016x}": 6},
        "channels": {"weights": 12},
        "bundles": [{"id": f"{BUNDLE:016x}", "pass": 0, "passes": 2, "state": "sending"}],
    }
    return json.dumps(body | changes, sort_keys=True, separators=(",", ":")).encode()


def sealed_heartbeat(
    text: bytes, mode: Mode = "gmac", counter: int = 0, session: int = HEARTBEAT_SESSION, **place: int
) -> bytes:
    """A datagram of kind heartbeat around any text; ``place``: fields of its header that are not as they must be."""
    place = {"bundle": 0, "slab": 0, "symbol": 0, "columns": 1, "k": 1} | place
    head = header(kind=3, session=session, counter=counter, **place)
    return seal(head, text.ljust(S, b"\0"), mode)


def derived(link_key: bytes, info: bytes, salt: bytes = b"") -> bytes:
    """HKDF-SHA-256 (RFC 5869) for one block of output; no salt is 32 zero bytes, which HMAC pads alike."""
    return hmac.digest(hmac.digest(salt or bytes(32), link_key, "sha256"), info + b"\x01", "sha256")


def mac_key(link_key: bytes, mode: Mode) -> bytes:
    """Key of the tags of heartbeats of kind 4."""
    return derived(link_key, b"diode heartbeat mac 1 " + mode.encode())


def cipher_key(link_key: bytes, session: int) -> bytes:
    """Key that encrypts the heartbeats of kind 4 of one session."""
    return derived(link_key, b"diode heartbeat cipher 1", session.to_bytes(8, "big"))


def sealed_mac(
    text: bytes,
    epoch: int,
    number: int,
    mode: Mode = "gmac",
    link_key: bytes = LINK_KEY,
    session: int = HEARTBEAT_SESSION,
    **place: int,
) -> bytes:
    """A datagram of kind 4 around any text; ``place``: fields of its header that are not as they must be."""
    place = {"bundle": epoch, "slab": 0, "symbol": 0, "columns": 1, "k": 1} | place
    head = header(kind=4, session=session, counter=number, key_id=key_id(link_key), **place)
    symbol = text.ljust(S, b"\0")
    if mode == "none":
        return head + symbol + bytes(16)
    if mode == "aead":
        block = modes.CTR(head[16:24] + bytes(8))
        symbol = Cipher(algorithms.AES(cipher_key(link_key, HEARTBEAT_SESSION)), block).encryptor().update(symbol)
    return head + symbol + hmac.digest(mac_key(link_key, mode), head + symbol, "sha256")[:16]


def heartbeat_mac(
    epoch: int = 7,
    number: int = 1,
    mode: Mode = "gmac",
    link_key: bytes = LINK_KEY,
    session: int = HEARTBEAT_SESSION,
    **changes: Any,
) -> bytes:
    """A heartbeat of kind 4 that lists SESSION; ``changes`` are other fields of its body."""
    return sealed_mac(heartbeat_text(epoch, number, **changes), epoch, number, mode, link_key, session)


def flip(datagram: bytes, at: int, bit: int = 0) -> bytes:
    """The datagram with one bit changed."""
    return datagram[:at] + bytes([datagram[at] ^ 1 << bit]) + datagram[at + 1 :]


def vector(
    says: str,
    run: bytes,
    *,
    mode: Mode = "gmac",
    before: list[bytes] | None = None,
    accepted: dict[int, bytes] | None = None,
    heartbeats: int = 0,
    keys: tuple[bytes, ...] = (LINK_KEY,),
    **drops: int,
) -> Vector:
    """What one file holds; of two ``keys`` the first is the newer."""
    heard = [heartbeat(mode=mode)] if before is None else before
    return {
        "says": says,
        "link_keys": [link_key.hex() for link_key in keys],
        "auth": mode,
        "symbol_bytes": S,
        "before": [datagram.hex() for datagram in heard],
        "run": run.hex(),
        "accepted": list(accepted or ()),
        "symbols": [symbol.hex() for symbol in (accepted or {}).values()],
        "heartbeats": heartbeats,
        "drops": drops,
    }


def good_vectors() -> dict[str, Vector]:
    """Datagrams that a receiver accepts."""
    place = {"bundle": 0, "slab": 0, "symbol": 0, "columns": 1, "k": 1}
    padding = seal(header(counter=1 << 63, **place), bytes(S))
    one, two = data(), data(counter=6, symbol=2 * 64 + 8)
    limits = data(symbol=255 * 64 + 63, k=255, slab=(1 << 26) - 1, counter=(1 << 63) - 1)
    return {
        "good_data": vector("a data datagram", one, accepted={0: painted(S)}),
        "good_run": vector("two data datagrams in one run", one + two, accepted={0: painted(S), 1: painted(S)}),
        "good_data_at_its_limits": vector("largest slab, symbol, k, D and counter", limits, accepted={0: painted(S)}),
        "good_object": vector("a symbol of the slabs table", data(kind=2, flags=2, k=64), accepted={0: painted(S)}),
        "good_filler": vector("filler passes, and is kept nowhere", padding, accepted={0: bytes(S)}),
        "good_heartbeat": vector("the first heartbeat", heartbeat(), before=[], heartbeats=1),
        "good_heartbeat_of_a_later_epoch": vector(
            "a sender that started again", heartbeat(epoch=8, number=0, counter=1), heartbeats=1
        ),
        "good_heartbeat_with_an_audit_head": vector(
            "the head of the audit log", heartbeat(audit=[1 << 53, "0f" * 32]), before=[], heartbeats=1
        ),
        "good_heartbeat_mac": vector("of kind 4", heartbeat_mac(), before=[], heartbeats=1),
        "good_heartbeat_mac_aead": vector(
            "of kind 4, encrypted", heartbeat_mac(mode="aead"), mode="aead", before=[], heartbeats=1
        ),
        "good_heartbeat_mac_without_auth": vector(
            "of kind 4, a tag of zeros", heartbeat_mac(mode="none"), mode="none", before=[], heartbeats=1
        ),
        "good_heartbeat_mac_with_health": vector(
            "what the sender counts",
            heartbeat_mac(health={"failed": 0, "waiting": (1 << 63) - 1}),
            before=[],
            heartbeats=1,
        ),
        "good_heartbeat_mac_after_kind_3": vector(
            "the same heartbeat by the other kind, the first of it", heartbeat_mac(), heartbeats=1
        ),
        "good_data_announced_by_kind_4": vector(
            "a session that kind 4 announced", one, before=[heartbeat_mac()], accepted={0: painted(S)}
        ),
        "good_heartbeat_of_a_new_key": vector(
            "the newer key's order begins anew",
            heartbeat_mac(epoch=1),
            keys=(LINK_KEY, OTHER_KEY),
            before=[heartbeat_mac(epoch=(1 << 63) - 1, link_key=OTHER_KEY)],
            heartbeats=1,
        ),
        "good_aead": vector("encrypted", data("aead"), mode="aead", accepted={0: painted(S)}),
        "good_without_auth": vector("a tag of zeros", data("none"), mode="none", accepted={0: painted(S)}),
    }


def screen_vectors() -> dict[str, Vector]:
    """Datagrams, all sealed correctly, that fall before their tag is looked at."""
    good, kept = data(), {0: painted(S)}
    alien = data(symbol_bytes=448 + 1)
    return {
        "length_shorter_than_a_header": vector("47 bytes", good[:47], length=1),
        "length_one_byte_short": vector("all but the last byte", good[:-1], length=1),
        "length_one_byte_long": vector("one byte behind a good datagram", good + b"\0", accepted=kept, length=1),
        "length_symbol_size_not_allowed": vector("S = 449", alien, length=1),
        "magic": vector("another magic", data(magic_version=0x44494E01), magic=1),
        "version": vector("version 2", data(magic_version=0x44494F02), version=1),
        "kind_0": vector("kind 0", data(kind=0), kind=1),
        "kind_5": vector("kind 5", data(kind=5), kind=1),
        "flags_of_data": vector("data with flags 1", data(flags=1), flags=1),
        "flags_of_an_object": vector("object type 3", data(kind=2, flags=3), flags=1),
        "reserved_first_byte": vector("first reserved byte set", data(reserved=b"\1" + bytes(5)), reserved=1),
        "reserved_last_byte": vector("last reserved byte set", data(reserved=bytes(5) + b"\x80"), reserved=1),
        "symbol_size_of_the_second": vector(
            "the second of a run claims S = 512", good + data(symbol_bytes=512), accepted=kept, symbol_size=1
        ),
        "geometry_columns_0": vector("D = 0", data(columns=0), geometry=1),
        "geometry_columns_65": vector("D = 65", data(columns=65), geometry=1),
        "geometry_k_0": vector("k = 0", data(k=0), geometry=1),
        "geometry_row_256": vector("row 256", data(symbol=256 * 64), geometry=1),
        "geometry_row_256_of_one_column": vector("row 256, D = 1", data(symbol=256, columns=1), geometry=1),
        "geometry_slab": vector("slab 2^26", data(slab=1 << 26), geometry=1),
        "first_failure_names_the_drop": vector(
            "version 2 and D = 0", data(magic_version=0x44494F02, columns=0), version=1
        ),
    }


def trust_vectors() -> dict[str, Vector]:
    """Well-formed datagrams that are not trusted."""
    good, other_id = data(), key_id(OTHER_KEY)
    extra, nested = heartbeat(number=2, counter=1, mood="good"), b"[" * S
    return {
        "key": vector("sealed under a key that is not held", data(link_key=OTHER_KEY, key_id=other_id), key=1),
        "session": vector("no heartbeat before", good, before=[], session=1),
        "session_not_listed": vector(
            "a session that the heartbeat does not list", data(session=SESSION + 1), session=1
        ),
        "tag_of_another_key": vector("another key under the right key id", data(link_key=OTHER_KEY), tag=1),
        "tag_counter_bit": vector("one bit of the counter flipped", flip(good, 23), tag=1),
        "tag_symbol_bit": vector("the last bit of the symbol flipped", flip(good, 48 + S - 1), tag=1),
        "tag_bit": vector("the first bit of the tag flipped", flip(good, 48 + S, 7), tag=1),
        "tag_of_two_one_wrong": vector(
            "the first of two is wrong", flip(good, 60) + good, accepted={1: painted(S)}, tag=1
        ),
        "tag_aead_symbol_bit": vector("ciphertext flipped", flip(data("aead"), 48), mode="aead", tag=1),
        "tag_aead_header_bit": vector("slab number flipped", flip(data("aead"), 35), mode="aead", tag=1),
        "tag_not_zero_without_auth": vector("a GMAC tag where none is used", good, mode="none", tag=1),
        "tag_of_a_heartbeat": vector("a heartbeat with a bit flipped", flip(heartbeat(), 60), before=[], tag=1),
        "heartbeat_not_json": vector("no JSON", sealed_heartbeat(b"hello"), before=[], heartbeat=1),
        "heartbeat_nested": vector("448 opening brackets", sealed_heartbeat(nested), before=[], heartbeat=1),
        "heartbeat_extra_field": vector("a field that is not specified", extra, heartbeat=1),
        "heartbeat_negative_number": vector("number -1", heartbeat(number=-1), before=[], heartbeat=1),
        "heartbeat_audit_entry_0": vector("entry 0", heartbeat(audit=[0, "0f" * 32]), before=[], heartbeat=1),
        "heartbeat_audit_number_as_text": vector("a text", heartbeat(audit=["1", "0f" * 32]), before=[], heartbeat=1),
        "heartbeat_audit_capital_digits": vector("0F", heartbeat(audit=[1, "0F" * 32]), before=[], heartbeat=1),
        "heartbeat_audit_three": vector("a third item", heartbeat(audit=[1, "0f" * 32, 1]), before=[], heartbeat=1),
        "tag_of_a_heartbeat_mac": vector("kind 4 with a bit flipped", flip(heartbeat_mac(), 60), before=[], tag=1),
        "tag_of_a_heartbeat_mac_epoch": vector(
            "kind 4, its epoch in the header raised", flip(heartbeat_mac(), 24), before=[], tag=1
        ),
        "tag_of_a_heartbeat_mac_aead": vector(
            "kind 4, ciphertext flipped", flip(heartbeat_mac(mode="aead"), 60), mode="aead", before=[], tag=1
        ),
        "tag_of_a_heartbeat_mac_of_another_mode": vector(
            "kind 4, sealed for gmac", heartbeat_mac(), mode="aead", before=[], tag=1
        ),
        "tag_of_a_heartbeat_mac_without_auth": vector(
            "a MAC where none is used", heartbeat_mac(), mode="none", before=[], tag=1
        ),
        "tag_of_a_heartbeat_gmac_as_kind_4": vector(
            "sealed as kind 3 is", seal(heartbeat_mac()[:48], heartbeat_mac()[48:-16]), before=[], tag=1
        ),
        "heartbeat_mac_of_another_number": vector(
            "header and symbol differ", sealed_mac(heartbeat_text(7, 1), 7, 2), before=[], heartbeat=1
        ),
        "heartbeat_mac_epoch_2_63": vector("epoch 2^63", heartbeat_mac(epoch=1 << 63), before=[], heartbeat=1),
        "heartbeat_mac_health_17": vector(
            "17 entries",
            heartbeat_mac(channels={}, bundles=[], health={f"n{i}": 1 for i in range(17)}),
            before=[],
            heartbeat=1,
        ),
        "heartbeat_mac_health_name": vector(
            "a name with a space", heartbeat_mac(health={"a b": 1}), before=[], heartbeat=1
        ),
        "heartbeat_mac_health_negative": vector(
            "below 0", heartbeat_mac(health={"failed": -1}), before=[], heartbeat=1
        ),
        "heartbeat_health_in_kind_3": vector(
            "health in kind 3", heartbeat(health={"failed": 0}), before=[], heartbeat=1
        ),
        "heartbeat_kind": vector(
            "kind 3 after kind 4", heartbeat(number=2, counter=1), before=[heartbeat_mac()], heartbeat_kind=1
        ),
        "heartbeat_key_of_kind_4": vector(
            "the older key, and the newer has spoken",
            heartbeat_mac(epoch=(1 << 63) - 1, link_key=OTHER_KEY),
            keys=(LINK_KEY, OTHER_KEY),
            heartbeat_key=1,
        ),
        "heartbeat_order_earlier_number_mac": vector(
            "recorded, of kind 4, when kind 3 has come further", heartbeat_mac(epoch=6, number=99), heartbeat_order=1
        ),
        "heartbeat_order_same_of_another_session": vector(
            "as the newest, but sealed by another process: a second sender",
            heartbeat_mac(session=HEARTBEAT_SESSION + 1),
            before=[heartbeat_mac()],
            heartbeat_order=1,
        ),
        "heartbeat_order_earlier_epoch": vector(
            "an earlier epoch with a larger number", heartbeat(epoch=6, number=99, counter=1), heartbeat_order=1
        ),
    }


def key_vector() -> Vector:
    """Key id and session keys."""
    sessions = (0, 1, SESSION, (1 << 64) - 1)
    return {
        "says": "what is derived from a link key",
        "link_key": LINK_KEY.hex(),
        "key_id": key_id(LINK_KEY),
        "session_keys": {f"{session:016x}": session_key(LINK_KEY, session).hex() for session in sessions},
        "heartbeat_mac_keys": {mode: mac_key(LINK_KEY, mode).hex() for mode in ("gmac", "aead")},
        "heartbeat_cipher_keys": {f"{session:016x}": cipher_key(LINK_KEY, session).hex() for session in sessions},
    }


def repair_vector(k: int, row_bytes: int, numbers: list[int], lost: list[int]) -> Vector:
    """A block (of ``row_bytes`` columns of one byte), some of its repair rows, and which source rows those replace."""
    source = [painted(row_bytes, 7 * row) for row in range(k)]
    return {
        "says": f"k = {k}: repair rows, and source rows that can be restored from them",
        "k": k,
        "source": [row.hex() for row in source],
        "repair": {str(n): row.hex() for n, row in zip(numbers, oracle.repair(source, numbers), strict=True)},
        "lost": lost,
    }


def tail_vector() -> Vector:
    """The shapes of slabs. Columns of the table in docs/wire-format.md, section 3."""
    cases = []
    for symbol_bytes, columns, k, r, is_object in (
        (448, 64, 200, 20, False),
        (8896, 32, 128, 128, False),
        (1408, 64, 64, 128, True),
    ):
        row = columns * symbol_bytes
        full = k * row
        for total in (1, symbol_bytes, symbol_bytes + 1, row - 1, row, row + 1, full - 1, full, full + 1, 3 * full):
            number = -(-total // full) - 1
            length = total - number * full
            symbols = -(-length // symbol_bytes)
            d = min(symbols, columns)
            rows = -(-symbols // d)
            cases.append(
                {
                    "symbol_bytes": symbol_bytes,
                    "full": [columns, k, r],
                    "is_object": is_object,
                    "total": total,
                    "slab": number,
                    "length": length,
                    "shape": [d, rows, 2 * rows if is_object else r],
                    "source_symbols": symbols,
                }
            )
    return {"says": "the last slab of streams and objects of many lengths", "cases": cases}


def vectors() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    return (
        good_vectors()
        | screen_vectors()
        | trust_vectors()
        | {
            "link_key": key_vector(),
            "repair_of_one_row": repair_vector(1, 16, [1, 2, 255], [0]),
            "repair_of_a_small_slab": repair_vector(5, 64, [5, 6, 7, 8, 255], [0, 1, 2, 3, 4]),
            "repair_of_a_full_block": repair_vector(200, 16, [200, 201, 219, 255], [0, 3, 150, 199]),
            "tails": tail_vector(),
        }
    )
