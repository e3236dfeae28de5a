"""Bodies of authentic heartbeats."""

from diode.formats.canonical import canonical
from diode.protocol.heartbeat import Heartbeat, InFlight, parse_heartbeat, parse_heartbeat_mac


def one_input(data: bytes) -> None:
    """It is a heartbeat that is read the same again, or none."""
    beat = parse_heartbeat_mac(data)
    assert parse_heartbeat(data) == (None if beat is None or beat.health is not None else beat)
    if beat is None:
        return
    assert parse_heartbeat_mac(canonical(beat.model_dump(by_alias=True, exclude_none=True))) == beat
    assert all(0 <= session < 1 << 64 and 0 <= count < 1 << 63 for session, count in beat.sent().items())
    assert beat.order >= (0, 0)
    assert beat.is_idle in (True, False)


def seeds() -> dict[str, bytes]:
    """A full one, an empty one, and some that are none."""
    flight = InFlight(id="0" * 15 + "7", **{"pass": 1}, passes=2, state="sending")
    full = Heartbeat(
        epoch=1, number=2, clock=3, sessions={"f" * 16: 4}, channels={"cve": 5, "weights": 6}, bundles=[flight]
    )
    body = canonical(full.model_dump(by_alias=True, exclude_none=True))
    return {
        "full": body + bytes(20),
        "empty": canonical(
            Heartbeat(epoch=0, number=0, clock=0, sessions={}, channels={}, bundles=[]).model_dump(exclude_none=True)
        ),
        "audit": canonical(
            full.model_copy(update={"audit": (1, "0f" * 32)}).model_dump(by_alias=True, exclude_none=True)
        ),
        "health": canonical(
            full.model_copy(update={"health": {"failed": 0}}).model_dump(by_alias=True, exclude_none=True)
        ),
        "deep": b"[" * 2000,
        "long_number": body.replace(b'"clock":3', b'"clock":' + b"9" * 5000),
        "not_utf8": b"\xff",
        "twice": body.replace(b'"clock":3', b'"clock":3,"clock":4'),
        "nan": body.replace(b'"clock":3', b'"clock":NaN'),
    }
