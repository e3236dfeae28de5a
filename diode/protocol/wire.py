"""The format of datagrams: 48 bytes of header, one symbol, 16 bytes of tag (docs/wire-format.md).

Headers are packed and screened for whole trains and regions at once. A run of datagrams of one size is a matrix with
one datagram in each row; its headers are a strided numpy record view of the first 48 columns. Nothing here allocates
memory for single datagrams. No field is trusted before :func:`screen` has bounded it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from diode.errors import Drop
from diode.protocol.sizes import HEADER_BYTES, MAX_COLUMNS, MAX_ROWS, MAX_SLABS, Kind, ObjectType

MAGIC: Final = 0x44494F  # "DIO"
VERSION: Final = 1
HEADER: Final = np.dtype(
    [
        ("magic_version", ">u4"),
        ("kind", "u1"),
        ("flags", "u1"),
        ("key_id", ">u2"),
        ("session", ">u8"),
        ("counter", ">u8"),
        ("bundle", ">u8"),
        ("slab", ">u4"),
        ("symbol", ">u2"),
        ("symbol_bytes", ">u2"),
        ("columns", "u1"),
        ("k", "u1"),
        ("reserved", "u1", (6,)),
    ]
)
assert HEADER.itemsize == HEADER_BYTES

NONCE: Final = slice(12, 24)  # low half of the session and the counter: 12 bytes that already lie in the header
SESSION: Final = slice(8, 16)
COUNTER: Final = slice(16, 24)

PADDING_BUNDLE: Final = 0
PADDING_COUNTER: Final = 1 << 63  # counters from here on are padding's; data counts from 0, so a gap is a loss

Headers = NDArray[np.void]
Bytes2D = NDArray[np.uint8]


def headers_of(datagrams: Bytes2D) -> Headers:
    """A view of the headers of a matrix of datagrams (one in each row). Writing to it writes the datagrams."""
    return datagrams[:, :HEADER_BYTES].view(HEADER)[:, 0]


def copy_headers(datagrams: Bytes2D) -> Headers:
    """A copy of the headers of a matrix of datagrams, side by side: reading it often is cheaper than reading a view.

    It is always a copy, even of a single datagram, so that a header cannot change after it was screened.
    """
    return datagrams[:, :HEADER_BYTES].copy().view(HEADER)[:, 0]


def pack_headers(
    headers: Headers,
    *,
    kind: Kind,
    flags: int,
    key_id: int,
    session: int,
    counter: int,
    bundle: int,
    slab: int,
    symbols: NDArray[np.integer],
    symbol_bytes: int,
    columns: int,
    k: int,
) -> None:
    """Write one header for each datagram into ``headers``; their counters rise by one from ``counter``."""
    headers["magic_version"] = MAGIC << 8 | VERSION
    headers["kind"] = kind
    headers["flags"] = flags
    headers["key_id"] = key_id
    headers["session"] = session
    headers["counter"] = np.arange(counter, counter + len(headers), dtype=np.uint64)
    headers["bundle"] = bundle
    headers["slab"] = slab
    headers["symbol"] = symbols
    headers["symbol_bytes"] = symbol_bytes
    headers["columns"] = columns
    headers["k"] = k
    headers["reserved"] = 0


def pack_lone_headers(
    headers: Headers,
    *,
    kind: Kind,
    key_id: int,
    session: int,
    counter: int,
    symbol_bytes: int,
    bundle: int = PADDING_BUNDLE,
    slab: int = 0,
    symbol: int = 0,
) -> None:
    """Headers of datagrams that belong to no slab of a bundle (heartbeats, padding): D = 1, k = 1."""
    pack_headers(
        headers,
        kind=kind,
        flags=0,
        key_id=key_id,
        session=session,
        counter=counter,
        bundle=bundle,
        slab=slab,
        symbols=np.full(len(headers), symbol, dtype=np.uint16),
        symbol_bytes=symbol_bytes,
        columns=1,
        k=1,
    )


def one_header(
    *,
    kind: Kind,
    flags: int,
    key_id: int,
    session: int,
    bundle: int,
    slab: int,
    symbol_bytes: int,
    columns: int,
    k: int,
) -> bytes:
    """What the headers of a slab have in common, with a counter and a symbol of zero."""
    header = np.empty(1, dtype=HEADER)
    pack_headers(
        header,
        kind=kind,
        flags=flags,
        key_id=key_id,
        session=session,
        counter=0,
        bundle=bundle,
        slab=slab,
        symbols=np.zeros(1, dtype=np.uint16),
        symbol_bytes=symbol_bytes,
        columns=columns,
        k=k,
    )
    return header.tobytes()


def number_headers(datagrams: Bytes2D, header: bytes, counter: int, symbol: int) -> None:
    """Write ``header`` into each row; counters and symbols rise by one from those given."""
    datagrams[:, :HEADER_BYTES] = np.frombuffer(header, dtype=np.uint8)
    headers, count = headers_of(datagrams), len(datagrams)
    headers["counter"] = np.arange(counter, counter + count, dtype=np.uint64)
    headers["symbol"] = np.arange(symbol, symbol + count, dtype=np.uint16)


def screen(headers: Headers, symbol_bytes: int) -> tuple[NDArray[np.bool_], dict[Drop, int]]:
    """Check all fields of ``headers`` that can be judged without a key or earlier datagrams.

    Returns the mask of rows that passed, and how many others failed at which check (the first that failed).
    ``symbol_bytes`` is the size by which the run was cut; a datagram that claims another one is dropped.
    """
    if not len(headers):
        return np.ones(0, dtype=np.bool_), {}
    first = headers["magic_version"]
    kind, columns, k = headers["kind"], headers["columns"].astype(np.uint32), headers["k"]
    row_limit = columns * MAX_ROWS
    drops: dict[Drop, int] = {}
    ok = np.ones(len(headers), dtype=np.bool_)
    if _all_alike(headers, symbol_bytes) and bool((headers["symbol"] < row_limit).all()):
        return ok, drops
    is_object = kind == Kind.OBJECT
    checks = (
        (Drop.MAGIC, first >> 8 == MAGIC),
        (Drop.VERSION, first & 0xFF == VERSION),
        (Drop.KIND, (kind >= Kind.DATA) & (kind <= Kind.HEARTBEAT_MAC)),
        (Drop.FLAGS, (headers["flags"] == 0) | (is_object & (headers["flags"] <= ObjectType.SLABS))),
        (Drop.RESERVED, ~headers["reserved"].any(axis=1)),
        (Drop.SYMBOL_SIZE, headers["symbol_bytes"] == symbol_bytes),
        (
            Drop.GEOMETRY,
            (columns > 0)
            & (columns <= MAX_COLUMNS)
            & (k > 0)
            & (headers["symbol"] < row_limit)
            & (headers["slab"] < MAX_SLABS),
        ),
    )
    for reason, passed in checks:
        failed = int(np.count_nonzero(ok & ~passed))
        if failed:
            drops[reason] = failed
            ok &= passed
    return ok, drops


def _all_alike(headers: Headers, symbol_bytes: int) -> bool:
    """Whether every header equals a valid first one in all fields but counter and symbol: the common case, cheaply."""
    one = headers[0]
    if not (
        one["magic_version"] == MAGIC << 8 | VERSION
        and one["kind"] == Kind.DATA
        and one["flags"] == 0
        and one["symbol_bytes"] == symbol_bytes
        and 0 < one["columns"] <= MAX_COLUMNS
        and one["k"] > 0
        and one["slab"] < MAX_SLABS
        and not headers["reserved"].any()
    ):
        return False
    fields = ("magic_version", "kind", "flags", "slab", "bundle", "symbol_bytes", "columns", "k")
    return all(bool((headers[name] == one[name]).all()) for name in fields)
