"""A second receiver, written from docs/wire-format.md and docs/bundle-format.md alone: slow, in memory, and small.

It shares no line with ``diode``. What it publishes is a dictionary. It proves that the pages suffice, and is the twin
that the fast receiver is compared with. Section numbers are those of the wire format. It has no budget of memory.
"""

import hashlib
import hmac
import struct
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests import oracle
from tests.reader_bundle import Bundle, NotTakenError, maybe_publish, open_manifest, signers_of
from tests.reader_heartbeat import read_heartbeat

HEADER: Final = struct.Struct(">IBBHQQQIHHBB6s")
DATA, OBJECT, HEARTBEAT, HEARTBEAT_MAC = 1, 2, 3, 4
TRIALS: Final = 50
Place = tuple[int, int, int, int]  # bundle, kind, flags, slab


class DroppedError(Exception):
    """A datagram is dropped; ``str()`` is the reason."""


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

    @property
    def place(self) -> Place:
        """Which slab of what."""
        return self.bundle, self.kind, self.flags, self.slab


@dataclass
class Slab:
    """Symbols so far of a slab whose header claims D = ``columns`` and ``k``, and S."""

    columns: int
    k: int
    symbol_bytes: int
    symbols: dict[int, bytes] = field(default_factory=dict)


def key_id(link_key: bytes) -> int:
    """Section 5."""
    return int.from_bytes(hashlib.sha256(b"diode link key id 1" + link_key).digest()[:2], "big")


def hkdf(secret: bytes, info: bytes, salt: bytes = bytes(32)) -> bytes:
    """RFC 5869, one block."""
    return hmac.digest(hmac.digest(salt, secret, "sha256"), info + b"\x01", "sha256")


def full_columns(symbol_bytes: int) -> int:
    """D of a full slab."""
    return 64 if symbol_bytes < 4096 else 32


def require(is_right: bool, reason: str) -> None:
    """Drop the datagram if not."""
    if not is_right:
        raise DroppedError(reason)


class Reader:
    """Takes runs as they come. ``published``: folder to path to content; ``drops``: reasons, counted.

    ``completed``: (kind, flags, slab, content) of each slab that became whole.
    """

    def __init__(self, link_keys: dict[int, bytes] | list[bytes], auth: str, signers: list[str]) -> None:
        """``link_keys``: the newest first; ``signers``: public keys in PEM, each of which may sign alone."""
        self._keys = (
            link_keys if isinstance(link_keys, dict) else {key_id(link_key): link_key for link_key in link_keys}
        )
        self._auth, self._signers = auth, signers_of(signers)
        self._newest_key = next(iter(self._keys))
        self._admitted: dict[int, int] = {}  # session to key id
        self._order: dict[int, tuple[tuple[int, int], int]] = {}  # by key id: the newest, and its session
        self._has_mac: set[int] = set()
        self._heard: set[tuple[int, int]] = set()
        self._trials = 0  # in this second: no vector lasts longer
        self._slabs: dict[Place, Slab] = {}
        self._bundles: dict[int, Bundle] = {}
        self._ended: dict[int, str] = {}
        self.heartbeats = 0
        self.published: dict[str, dict[str, bytes]] = {}
        self.executable: set[str] = set()
        self.completed: list[tuple[int, int, int, bytes]] = []
        self.drops: Counter[str] = Counter()

    def receive(self, run: bytes) -> list[tuple[int, bytes]]:
        """Section 2. Returns the number in the run, and the symbol, of data and objects whose tag is right."""
        claimed = int.from_bytes(run[38:40], "big") if len(run) >= 64 else 0
        size = claimed + 64
        is_size = 448 <= claimed <= 8896 and claimed % 64 == 0
        self.drops["length"] += not is_size or len(run) % size != 0
        opened = []
        for number in range(len(run) // size if is_size else 0):
            try:
                datagram = self._screen(run[number * size :][:size])
                if datagram.kind in (HEARTBEAT, HEARTBEAT_MAC):
                    self._hear(datagram)
                    continue
                symbol = self._open(datagram)
                opened.append((number, symbol))
                self._take(datagram, symbol)
            except DroppedError as drop:
                self.drops[str(drop)] += 1
        return opened

    # section 7: what needs neither key nor memory

    def _screen(self, raw: bytes) -> Datagram:
        magic, *middle, reserved = HEADER.unpack(raw[:48])
        kind, flags, key, session, counter, bundle, slab, symbol, symbol_bytes, columns, k = middle
        require(magic >> 8 == 0x44494F, "magic")
        require(magic & 0xFF == 1, "version")
        require(1 <= kind <= 4, "kind")
        require(flags == 0 or (kind == OBJECT and flags <= 2), "flags")
        require(reserved == bytes(6), "reserved")
        require(symbol_bytes == len(raw) - 64, "symbol_size")
        require(1 <= columns <= 64 and k > 0 and symbol < 256 * columns and slab < 1 << 26, "geometry")
        require(key in self._keys, "key")
        return Datagram(raw, kind, flags, key, session, counter, bundle, slab, symbol, columns, k)

    # section 5

    def _open(self, datagram: Datagram) -> bytes:
        """The symbol of data, an object, or a heartbeat of kind 3."""
        is_admitted = self._admitted.get(datagram.session) == datagram.key_id
        require(is_admitted or datagram.kind == HEARTBEAT, "session")
        head, symbol, tag = datagram.raw[:48], datagram.raw[48:-16], datagram.raw[-16:]
        if self._auth == "none":
            require(tag == bytes(16), "tag")
            return symbol
        salt = datagram.session.to_bytes(8, "big")
        cipher = AESGCM(hkdf(self._keys[datagram.key_id], b"diode link session 1", salt))
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
        require(tag == (bytes(16) if self._auth == "none" else hmac.digest(mac, body, "sha256")[:16]), "tag")
        if self._auth != "aead":
            return symbol
        key = hkdf(secret, b"diode heartbeat cipher 1", datagram.session.to_bytes(8, "big"))
        return Cipher(algorithms.AES(key), modes.CTR(body[16:24] + bytes(8))).encryptor().update(symbol)

    # section 6

    def _hear(self, datagram: Datagram) -> None:
        key, is_mac = datagram.key_id, datagram.kind == HEARTBEAT_MAC
        if not is_mac:
            require(key not in self._has_mac, "heartbeat_kind")
            self._trials += self._admitted.get(datagram.session) != key
            require(self._trials <= TRIALS, "heartbeat_rate")
        symbol = self._open_mac(datagram) if is_mac else self._open(datagram)
        require(key == self._newest_key or self._newest_key not in self._order, "heartbeat_key")
        if is_mac:
            self._check_order(datagram, (datagram.bundle, datagram.counter))
        said = read_heartbeat(symbol.rstrip(b"\0"), is_mac=is_mac)
        is_lone = (datagram.slab, datagram.symbol, datagram.columns, datagram.k) == (0, 0, 1, 1)
        require(said is not None and is_lone, "heartbeat")
        assert said is not None
        order = said["epoch"], said["number"]
        require((datagram.bundle, datagram.counter) == order if is_mac else datagram.bundle == 0, "heartbeat")
        if not is_mac:
            self._check_order(datagram, order)
        self._order[key] = order, datagram.session
        self._has_mac |= {key} if is_mac else set()
        self.heartbeats += 1
        for session in [int(name, 16) for name in said["sessions"]] + [datagram.session] * (not is_mac):
            if key == self._newest_key or self._admitted.get(session) != self._newest_key:
                self._admitted[session] = key

    def _check_order(self, datagram: Datagram, order: tuple[int, int]) -> None:
        newest, session = self._order.get(datagram.key_id, ((-1, 0), None))
        if datagram.kind == HEARTBEAT_MAC and datagram.key_id not in self._has_mac:
            require(order >= newest, "heartbeat_order")
            return
        require(order != newest or session != datagram.session, "duplicate")
        require(order > newest, "heartbeat_order")

    # sections 3 and 7

    def _take(self, datagram: Datagram, symbol: bytes) -> None:
        if datagram.bundle == 0:
            return
        place, is_manifest = datagram.place, (datagram.kind, datagram.flags) == (OBJECT, 0)
        if datagram.bundle in self._ended:
            raise DroppedError(self._ended[datagram.bundle])
        bundle = self._bundles.get(datagram.bundle)
        if bundle is None:
            self._check_early(datagram, len(symbol))
        else:
            require(not is_manifest, "redundant")
            self._check_signed(bundle, datagram, len(symbol))
        claim = datagram.columns, datagram.k, len(symbol)
        slab = self._slabs.get(place)
        if slab is None or (slab.columns, slab.k, slab.symbol_bytes) != claim:
            slab = self._slabs[place] = Slab(*claim)
        before = slab.symbols.get(datagram.symbol)
        if before is None or bundle is None:
            slab.symbols[datagram.symbol] = symbol
        if before is not None:
            raise DroppedError("duplicate" if before == symbol else "conflict")
        if bundle is not None:
            self._maybe_store(bundle, place)
        elif is_manifest:
            self._maybe_judge(place)

    def _check_early(self, datagram: Datagram, symbol_bytes: int) -> None:
        row, row_bytes = datagram.symbol // datagram.columns, datagram.columns * symbol_bytes
        is_right = datagram.columns <= full_columns(symbol_bytes)
        if datagram.kind == OBJECT:
            is_right &= datagram.k <= 64 and row < 3 * datagram.k
            if datagram.flags == 0:
                is_right &= datagram.slab == 0 and datagram.k * row_bytes <= 262144 + row_bytes
        require(is_right, "signed_geometry")

    def _check_signed(self, bundle: Bundle, datagram: Datagram, symbol_bytes: int) -> None:
        length, columns, k, r = self._shape(bundle, datagram.place)
        require(symbol_bytes == bundle.manifest["shape"]["symbol_bytes"], "signed_geometry")
        require(not self._is_there(bundle, datagram.place), "redundant")
        sets = 1 if datagram.kind == OBJECT else max(1, (256 - k) // r)
        is_tail = -(-length // symbol_bytes) <= datagram.symbol < k * columns
        is_sent = datagram.symbol // columns < k + sets * r and not is_tail
        require((datagram.columns, datagram.k) == (columns, k) and is_sent, "signed_geometry")

    def _is_there(self, bundle: Bundle, place: Place) -> bool:
        is_stored = place[1] == DATA and place[3] in bundle.stored
        return is_stored or place[3] in bundle.parts.get(place[1:3], {})

    def _shape(self, bundle: Bundle, place: Place) -> tuple[int, int, int, int]:
        """(length, D', k', r') of a slab: section 3, "The one rule for tails"."""
        _, kind, flags, number = place
        shape, total = bundle.manifest["shape"], bundle.size_of(kind, flags)
        k, size = (64 if kind == OBJECT else shape["k"]), shape["symbol_bytes"]
        full = k * full_columns(size) * size
        length = min(full, total - number * full)
        require(length > 0, "signed_geometry")
        symbols = -(-length // size)
        columns = min(symbols, full_columns(size))
        rows = -(-symbols // columns)
        return length, columns, rows, 2 * rows if kind == OBJECT else shape["r"]

    # section 4

    def _restored(self, place: Place, length: int) -> bytes | None:
        """The bytes of a slab, when each of its blocks has k symbols."""
        slab, blocks = self._slabs[place], []
        tail = range(-(-length // slab.symbol_bytes), slab.k * slab.columns)
        symbols = slab.symbols | dict.fromkeys(tail, bytes(slab.symbol_bytes))
        for column in range(slab.columns):
            rows = {n // slab.columns: s for n, s in symbols.items() if n % slab.columns == column}
            if len(rows) < slab.k:
                return None
            blocks.append(oracle.restore(rows, slab.k))
        del self._slabs[place]
        content = b"".join(blocks[c][row] for row in range(slab.k) for c in range(slab.columns))[:length]
        self.completed.append((*place[1:], content))
        return content

    # docs/bundle-format.md

    def _maybe_judge(self, place: Place) -> None:
        slab = self._slabs[place]
        padded = self._restored(place, slab.k * slab.columns * slab.symbol_bytes)
        if padded is None:
            return
        try:
            self.know(place[0], open_manifest(padded.rstrip(b"\0"), self._signers, place[0]))
        except NotTakenError:
            return  # it is held against nothing

    def know(self, number: int, bundle: Bundle) -> None:
        """A manifest is verified: what came before it is kept where it says so."""
        self._bundles[number] = bundle
        for place in [place for place in self._slabs if place[0] == number]:
            early = self._slabs.pop(place)
            kept = Slab(early.columns, early.k, early.symbol_bytes)
            for symbol, content in early.symbols.items():
                claimed = Datagram(b"", place[1], place[2], 0, 0, 0, number, place[3], symbol, early.columns, early.k)
                try:
                    self._check_signed(bundle, claimed, early.symbol_bytes)
                    kept.symbols[symbol] = content
                except DroppedError as drop:
                    self.drops[str(drop)] += 1
            if kept.symbols:
                self._slabs[place] = kept
                self._maybe_store(bundle, place)

    def end(self, number: int, outcome: str) -> None:
        """Nothing more of a bundle is wanted."""
        self._bundles.pop(number, None)
        self._ended[number] = outcome
        self._slabs = {place: slab for place, slab in self._slabs.items() if place[0] != number}

    def _maybe_store(self, bundle: Bundle, place: Place) -> None:
        content = self._restored(place, self._shape(bundle, place)[0])
        if content is None:
            return
        bundle.parts.setdefault(place[1:3], {})[place[3]] = content
        found = maybe_publish(bundle) if bundle.payload else None
        if found is not None:
            manifest = bundle.manifest
            self.published[f"{manifest['channel']}/{manifest['name']}/{manifest['version']}"] = found[0]
            self.executable |= found[1]
            self.end(place[0], "redundant")
