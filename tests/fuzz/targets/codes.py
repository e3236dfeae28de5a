"""Resend and confirm codes: as somebody typed them (an even first byte), and as bits under a right checksum (odd)."""

from diode.errors import UsageError
from diode.formats.names import MAX_SEQUENCE
from diode.protocol.resend_codes import Confirm, ResendBundle, ResendSlabs, _letters, _Writer, decode, encode
from diode.protocol.sizes import MAX_SLABS


def one_input(data: bytes) -> None:
    """It is a code that is written the same way again, or a UsageError."""
    text = data[1:].decode(errors="replace")
    if data[:1] and data[0] % 2:
        bits = _Writer()
        for byte in data[1:]:
            bits.put(byte, 8)
        text = bits.text()
    try:
        code = decode(text)
    except UsageError:
        return
    assert decode(encode(code)) == code
    assert encode(code).replace("-", "") == _letters(text)  # one spelling a content
    assert str(code)
    if isinstance(code, ResendSlabs):
        bounds = [bound for pair in code.ranges for bound in pair]
        assert bounds == sorted(bounds)
        assert all(first < last <= MAX_SLABS for first, last in code.ranges)
    elif isinstance(code, ResendBundle):
        assert 0 <= code.sequence <= MAX_SEQUENCE


def seeds() -> dict[str, bytes]:
    """Codes of each kind, and two that are none."""
    codes: dict[str, ResendSlabs | ResendBundle | Confirm] = {
        "slabs": ResendSlabs(1 << 60, ((0, 1), (5, 9), (1000, 1001))),
        "tables": ResendSlabs(7, ()),
        "everything": ResendSlabs(7, ((0, MAX_SLABS),)),
        "many": ResendSlabs((1 << 64) - 1, tuple((n, n + 1) for n in range(0, 400, 7))),
        "bundle": ResendBundle("cve", 123456),
        "confirm": Confirm(1 << 63, 0xDEADBEEF),
    }
    typed = {name: b"\0" + encode(code).encode() for name, code in codes.items()}
    lower = {"lower": b"\0" + encode(codes["bundle"]).lower().replace("-", " ").encode()}
    return (
        typed | lower | {"bits": b"\1" + bytes([0x40, *range(40)]), "zeros": b"\1\x4f" + bytes(300), "words": b"\0U*"}
    )
