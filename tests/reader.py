"""A second receiver, written from docs/wire-format.md and docs/bundle-format.md alone: slow, in memory, and small.

It shares no line with ``diode``. What it publishes is a dictionary. It proves that the pages suffice, and is the twin
that the fast receiver is compared with. Section numbers are those of the wire format.
"""

import base64
import hashlib
import hmac
import json
import struct
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from blake3 import blake3
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from tests import oracle

HEADER: Final = struct.Struct(">IBBHQQQIHHBB6s")
PROFILES: Final = {"clean": (200, 10), "standard": (200, 20), "lossy": (192, 64), "extreme": (128, 128)}
MANIFEST_TYPE: Final = "application/vnd.diode.manifest.v1+json"
DATA, OBJECT, HEARTBEAT, HEARTBEAT_MAC = 1, 2, 3, 4


class DroppedError(Exception):
    """A datagram is dropped; ``str()`` is the reason."""


class NotTakenError(Exception):
    """A manifest or table that is authentic, or not, is not taken."""


@dataclass(frozen=True)
class Datagram:
    """Section 1, "Header"."""

    raw: bytes
    kind: int
    flags: int
    key_id: int
    session: int
    counter: int
    bundle: int
    slab: int
    symbol: int
    columns: int
    k: int


@dataclass
class Slab:
    """Symbols so far of a slab whose header claims D = ``columns`` and ``k``."""

    columns: int
    k: int
    symbols: dict[int, bytes] = field(default_factory=dict)


@dataclass
class Bundle:
    """A bundle whose manifest is verified."""

    payload: bytes
    sealed: bytes
    manifest: dict[str, Any]
    parts: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)  # by (kind, flags), then slab
    is_published: bool = False


def canonical(value: Any) -> bytes:
    """The one text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def key_id(link_key: bytes) -> int:
    """Section 5."""
    return int.from_bytes(hashlib.sha256(b"diode link key id 1" + link_key).digest()[:2], "big")


def hkdf(secret: bytes, info: bytes, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869, one block."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def tail(total: int, symbol_bytes: int, number: int, k: int, r: int, *, is_object: bool) -> tuple[int, int, int, int]:
    """(length, D', k', r') of a slab: section 3, "The one rule for tails"."""
    columns = 64 if symbol_bytes < 4096 else 32
    full = k * columns * symbol_bytes
    length = min(full, total - number * full)
    if number < 0 or length <= 0:
        raise DroppedError("signed_geometry")
    symbols = -(-length // symbol_bytes)
    columns = min(symbols, columns)
    rows = -(-symbols // columns)
    return length, columns, rows, 2 * rows if is_object else r


class Reader:
    """Takes datagrams one by one. ``published``: folder to path to content; ``drops``: reasons, counted."""

    def __init__(self, link_keys: list[bytes], auth: str, signers: list[str]) -> None:
        """``signers``: public keys in PEM, each of which may sign alone."""
        self._keys = {key_id(link_key): link_key for link_key in link_keys}
        self._auth = auth
        self._signers = dict(map(self._signer, signers))
        self._admitted: dict[int, int] = {}  # session to key id
        self._order: dict[int, tuple[int, int]] = {}
        self._has_mac: set[int] = set()
        self._slabs: dict[tuple[int, int, int, int], Slab] = {}
        self._bundles: dict[int, Bundle] = {}
        self.published: dict[str, dict[str, bytes]] = {}
        self.executable: set[str] = set()
        self.drops: Counter[str] = Counter()

    @staticmethod
    def _signer(pem: str) -> tuple[str, Ed25519PublicKey]:
        key = load_pem_public_key(pem.encode())
        assert isinstance(key, Ed25519PublicKey)
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        text = f'{{"keytype":"ed25519","keyval":{{"public":"{raw}"}},"scheme":"ed25519"}}'
        return hashlib.sha256(text.encode()).hexdigest(), key

    def receive(self, raw: bytes) -> None:
        """A run of one datagram."""
        try:
            datagram = self._screen(raw)
            if datagram.kind in (HEARTBEAT, HEARTBEAT_MAC):
                self._hear(datagram)
            else:
                self._take(datagram, self._open(datagram))
        except DroppedError as drop:
            self.drops[str(drop)] += 1

    # sections 1, 2 and 7: what needs neither key nor memory

    def _screen(self, raw: bytes) -> Datagram:
        claimed = int.from_bytes(raw[38:40], "big") if len(raw) >= 64 else 0
        if not 448 <= claimed <= 8896 or claimed % 64 or len(raw) != claimed + 64:
            raise DroppedError("length")
        magic, *middle, reserved = HEADER.unpack(raw[:48])
        kind, flags, key, session, counter, bundle, slab, symbol, _, columns, k = middle
        checks = {
            "magic": magic >> 8 == 0x44494F,
            "version": magic & 0xFF == 1,
            "kind": 1 <= kind <= 4,
            "flags": flags == 0 or (kind == OBJECT and flags <= 2),
            "reserved": reserved == bytes(6),
            "geometry": 1 <= columns <= 64 and k > 0 and symbol < 256 * columns and slab < 1 << 26,
            "key": key in self._keys,
        }
        for reason, is_right in checks.items():
            if not is_right:
                raise DroppedError(reason)
        return Datagram(raw, kind, flags, key, session, counter, bundle, slab, symbol, columns, k)

    # section 5

    def _open(self, datagram: Datagram) -> bytes:
        """The symbol of data, an object, or a heartbeat of kind 3."""
        if datagram.kind != HEARTBEAT and self._admitted.get(datagram.session) != datagram.key_id:
            raise DroppedError("session")
        head, symbol, tag = datagram.raw[:48], datagram.raw[48:-16], datagram.raw[-16:]
        if self._auth == "none":
            if tag != bytes(16):
                raise DroppedError("tag")
            return symbol
        secret, salt = self._keys[datagram.key_id], datagram.session.to_bytes(8, "big")
        cipher = AESGCM(hkdf(secret, b"diode link session 1", salt))
        try:
            if self._auth == "aead":
                return cipher.decrypt(head[12:24], symbol + tag, head)
            cipher.decrypt(head[12:24], tag, head + symbol)
        except InvalidTag:
            raise DroppedError("tag") from None
        return symbol

    def _open_mac(self, datagram: Datagram) -> bytes:
        """The symbol of a heartbeat of kind 4."""
        body, symbol, tag = datagram.raw[:-16], datagram.raw[48:-16], datagram.raw[-16:]
        secret = self._keys[datagram.key_id]
        mac = hkdf(secret, b"diode heartbeat mac 1 " + self._auth.encode())
        expected = bytes(16) if self._auth == "none" else hmac.digest(mac, body, "sha256")[:16]
        if not hmac.compare_digest(tag, expected):
            raise DroppedError("tag")
        if self._auth != "aead":
            return symbol
        key = hkdf(secret, b"diode heartbeat cipher 1", datagram.session.to_bytes(8, "big"))
        return Cipher(algorithms.AES(key), modes.CTR(body[16:24] + bytes(8))).encryptor().update(symbol)

    # section 6

    def _hear(self, datagram: Datagram) -> None:
        is_mac, key = datagram.kind == HEARTBEAT_MAC, datagram.key_id
        if not is_mac and key in self._has_mac:
            raise DroppedError("heartbeat_kind")
        text = (self._open_mac(datagram) if is_mac else self._open(datagram)).rstrip(b"\0")
        try:
            said = json.loads(text)
            is_right = canonical(said) == text and (datagram.slab, datagram.symbol, datagram.columns, datagram.k) == (
                0,
                0,
                1,
                1,
            )
            order = said["epoch"], said["number"]
            place = (datagram.bundle, datagram.counter) if is_mac else (datagram.bundle, *order)
            if not is_right or place != (order if is_mac else (0, *order)):
                raise ValueError
            sessions = [int(session, 16) for session in said["sessions"]]
        except (ValueError, LookupError, TypeError, AttributeError):
            raise DroppedError("heartbeat") from None
        newest = self._order.get(key, (-1, 0))
        is_first_mac = is_mac and key not in self._has_mac
        if order < newest or (order == newest and not is_first_mac):
            raise DroppedError("duplicate" if order == newest else "heartbeat_order")
        self._order[key] = order
        self._has_mac |= {key} if is_mac else set()
        for session in sessions if is_mac else [*sessions, datagram.session]:
            self._admitted[session] = key

    # section 3 and 4

    def _take(self, datagram: Datagram, symbol: bytes) -> None:
        if datagram.bundle == 0:
            return
        known = self._bundles.get(datagram.bundle)
        if known is not None and (known.is_published or (datagram.kind, datagram.flags) == (OBJECT, 0)):
            raise DroppedError("redundant")
        place = datagram.bundle, datagram.kind, datagram.flags, datagram.slab
        if known is not None:
            if datagram.slab in known.parts.get(place[1:3], {}):
                raise DroppedError("redundant")
            self._check_shape(known, datagram, len(symbol))
        slab = self._slabs.get(place)
        if slab is None or (slab.columns, slab.k) != (datagram.columns, datagram.k):
            slab = self._slabs[place] = Slab(datagram.columns, datagram.k)
        if datagram.symbol in slab.symbols:
            raise DroppedError("duplicate" if slab.symbols[datagram.symbol] == symbol else "conflict")
        slab.symbols[datagram.symbol] = symbol
        if known is not None:
            self._maybe_store(known, place)
        elif (datagram.kind, datagram.flags) == (OBJECT, 0):
            self._maybe_judge(place, slab, len(symbol))

    def _full(self, bundle: Bundle, kind: int, flags: int) -> tuple[int, int, int]:
        """(bytes in all, k, r) of a part."""
        manifest = bundle.manifest
        if kind == DATA:
            return manifest["stream_bytes"], manifest["shape"]["k"], manifest["shape"]["r"]
        return manifest["files" if flags == 1 else "slabs"]["size"], 64, 128

    def _shape(self, bundle: Bundle, place: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        _, kind, flags, number = place
        total, k, r = self._full(bundle, kind, flags)
        return tail(total, bundle.manifest["shape"]["symbol_bytes"], number, k, r, is_object=kind == OBJECT)

    def _check_shape(self, bundle: Bundle, datagram: Datagram, symbol_bytes: int) -> None:
        place = datagram.bundle, datagram.kind, datagram.flags, datagram.slab
        length, columns, k, r = self._shape(bundle, place)
        sets = 1 if datagram.kind == OBJECT else max(1, (256 - k) // r)
        row, source = datagram.symbol // columns, -(-length // symbol_bytes)
        is_tail = source <= datagram.symbol < k * columns
        right = bundle.manifest["shape"]["symbol_bytes"], columns, k
        if right != (symbol_bytes, datagram.columns, datagram.k) or row >= k + sets * r or is_tail:
            raise DroppedError("signed_geometry")

    def _restore(self, slab: Slab, length: int, symbol_bytes: int) -> bytes | None:
        """The bytes of a slab, when each of its blocks has k symbols."""
        symbols = dict(slab.symbols)
        for number in range(-(-length // symbol_bytes), slab.k * slab.columns):
            symbols[number] = bytes(symbol_bytes)
        blocks = []
        for column in range(slab.columns):
            rows = {n // slab.columns: s for n, s in symbols.items() if n % slab.columns == column}
            if len(rows) < slab.k:
                return None
            blocks.append(oracle.restore(rows, slab.k))
        return b"".join(blocks[c][row] for row in range(slab.k) for c in range(slab.columns))[:length]

    # docs/bundle-format.md

    def _maybe_judge(self, place: tuple[int, int, int, int], slab: Slab, symbol_bytes: int) -> None:
        padded = self._restore(slab, slab.k * slab.columns * symbol_bytes, symbol_bytes)
        if padded is None:
            return
        del self._slabs[place]  # what does not verify is held against nothing
        sealed = padded.rstrip(b"\0")
        try:
            payload = self._verified(sealed)
            number = int.from_bytes(blake3(payload).digest()[:8], "big") or 1
            manifest = json.loads(payload)
            if canonical(manifest) != payload or number != place[0] or manifest["format"] != "diode-bundle-1":
                return
            if PROFILES[manifest["shape"]["profile"]] != (manifest["shape"]["k"], manifest["shape"]["r"]):
                return
        except (NotTakenError, ValueError, LookupError, TypeError):
            return
        bundle = self._bundles[number] = Bundle(payload, sealed, manifest)
        for early in [early for early in self._slabs if early[0] == number]:
            self._learn(bundle, early, symbol_bytes)
        self._maybe_publish(bundle)

    def _learn(self, bundle: Bundle, place: tuple[int, int, int, int], symbol_bytes: int) -> None:
        """What came before the manifest is kept where the manifest says so."""
        slab = self._slabs.pop(place)
        kept = self._slabs[place] = Slab(slab.columns, slab.k)
        for number, symbol in slab.symbols.items():
            claimed = Datagram(b"", place[1], place[2], 0, 0, 0, place[0], place[3], number, slab.columns, slab.k)
            try:
                self._check_shape(bundle, claimed, len(symbol))
                kept.symbols[number] = symbol
            except DroppedError as drop:
                self.drops[str(drop)] += 1
        if kept.symbols:
            self._maybe_store(bundle, place)
        else:
            del self._slabs[place]

    def _verified(self, sealed: bytes) -> bytes:
        """The payload of an envelope that a known key has signed."""
        if len(sealed) > 262144:
            raise NotTakenError("limit")
        envelope = json.loads(sealed.decode())
        if envelope["payloadType"] != MANIFEST_TYPE or len(envelope["signatures"]) > 64:
            raise NotTakenError("manifest")
        payload = base64.b64decode(envelope["payload"], validate=True)
        signed = b"DSSEv1 %d %s %d %s" % (len(MANIFEST_TYPE), MANIFEST_TYPE.encode(), len(payload), payload)
        for signature in envelope["signatures"]:
            key = self._signers.get(signature["keyid"])
            try:
                if key is not None:
                    key.verify(base64.b64decode(signature["sig"], validate=True), signed)
                    return payload
            except InvalidSignature:
                continue
        raise NotTakenError("trust")

    def _maybe_store(self, bundle: Bundle, place: tuple[int, int, int, int]) -> None:
        _, kind, flags, number = place
        length, *_ = self._shape(bundle, place)
        symbol_bytes = bundle.manifest["shape"]["symbol_bytes"]
        content = self._restore(self._slabs[place], length, symbol_bytes)
        if content is not None:
            del self._slabs[place]
            bundle.parts.setdefault((kind, flags), {})[number] = content
            self._maybe_publish(bundle)

    def _whole(self, bundle: Bundle, kind: int, flags: int) -> bytes | None:
        total, *_ = self._full(bundle, kind, flags)
        parts = bundle.parts.get((kind, flags), {})
        content = b"".join(parts[number] for number in sorted(parts))
        return content if len(content) == total else None

    def _maybe_publish(self, bundle: Bundle) -> None:
        tables = {}
        for flags, name in ((1, "files"), (2, "slabs")):
            tables[name] = self._whole(bundle, OBJECT, flags)
            if tables[name] is None:
                return
            if blake3(tables[name]).hexdigest() != bundle.manifest[name]["blake3"]:
                bundle.parts.pop((OBJECT, flags))  # it is collected again
                return
        digests, data = tables["slabs"] or b"", bundle.parts.get((DATA, 0), {})
        for number in [n for n, part in data.items() if blake3(part).digest() != digests[32 * n : 32 * n + 32]]:
            del data[number]
        stream = self._whole(bundle, DATA, 0)
        if stream is not None and not bundle.is_published:
            self._publish(bundle, stream, (tables["files"] or b"").decode())

    def _publish(self, bundle: Bundle, stream: bytes, table: str) -> None:
        manifest, found = bundle.manifest, {"manifest.json": bundle.payload, "manifest.dsse.json": bundle.sealed}
        folded: set[str] = set()
        sums, offset, lines = {"SHA256SUMS": "", "B3SUMS": ""}, 0, table.splitlines(keepends=True)
        for line in lines:
            entry = json.loads(line)
            assert canonical(entry) + b"\n" == line.encode()
            path = entry["path"]
            form = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
            assert form not in folded
            folded.add(form)
            assert not {"", ".", ".."} & set(path.removesuffix("/").split("/"))
            if path.endswith("/"):
                found[f"data/{path}"] = b""
                continue
            content = stream[offset : offset + entry["size"]]
            offset += entry["size"]
            assert blake3(content).hexdigest() == entry["blake3"]
            assert hashlib.sha256(content).hexdigest() == entry["sha256"]
            found[f"data/{path}"] = content
            if entry.get("executable"):
                self.executable.add(f"data/{path}")
            escaped = path.replace("\\", "\\\\")
            mark = "\\" if escaped != path else ""
            sums["SHA256SUMS"] += f"{mark}{entry['sha256']}  data/{escaped}\n"
            sums["B3SUMS"] += f"{mark}{entry['blake3']}  data/{escaped}\n"
        assert (offset, len(lines)) == (len(stream), manifest["files"]["entries"])
        bundle.is_published = True
        label = f"{manifest['channel']}/{manifest['name']}/{manifest['version']}"
        self.published[label] = found | {name: text.encode() for name, text in sums.items()}
