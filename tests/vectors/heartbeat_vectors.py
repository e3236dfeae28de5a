"""More vectors of ``wire/``: authentic heartbeats that are not as they must be, and receivers that hold two keys."""

from typing import Any

from tests.vectors.datagrams import (
    LINK_KEY,
    OTHER_KEY,
    SESSION,
    S,
    Vector,
    data,
    heartbeat,
    heartbeat_mac,
    heartbeat_text,
    key_id,
    painted,
    sealed_heartbeat,
    sealed_mac,
    vector,
)


def heartbeat_vectors() -> dict[str, Vector]:
    """Authentic heartbeats whose header or text is not as it must be, and what comes twice, or too often."""
    text = heartbeat_text(7, 1)
    books = text.decode()
    spelled = {
        "a blank": books.replace(":7", ": 7", 1),
        "a byte order mark": "\ufeff" + books,
        "an escape that need not be": books.replace("clock", "cl\\u006fck", 1),
        "a fraction": books.replace(":7", ":7.0", 1),
        "an exponent": books.replace(":7,", ":7e0,", 1),
        "keys not sorted": _unsorted(books),
        "a key twice": books.replace('"clock"', '"clock":1700000000,"clock"', 1),
        "a head that is null": '{"audit":null,' + books[1:],
        "text behind the padding": books + "\0x",
    }
    odd: dict[str, Any] = {"slab": 1, "symbol": 1, "columns": 2, "k": 2}
    first = [heartbeat(number=n, session=n) for n in range(1, 51)]
    return {
        **{
            f"heartbeat_{what.replace(' ', '_')}": vector(
                what, sealed_mac(spelling.encode(), 7, 1), before=[], heartbeat=1
            )
            for what, spelling in spelled.items()
        },
        **{
            f"heartbeat_{field}": vector(
                f"{field} {value} in its header", sealed_heartbeat(text, **{field: value}), before=[], heartbeat=1
            )
            for field, value in (odd | {"bundle": 1}).items()
        },
        **{
            f"heartbeat_mac_{field}": vector(
                f"{field} {value} in its header", sealed_mac(text, 7, 1, **{field: value}), before=[], heartbeat=1
            )
            for field, value in odd.items()
        },
        "heartbeat_17_sessions": vector(
            "more sessions than a heartbeat may list",
            heartbeat_mac(sessions={f"{n:016x}": 1 for n in range(17)}, bundles=[], channels={}),
            before=[],
            heartbeat=1,
        ),
        "duplicate_heartbeat": vector("the newest heartbeat once more", heartbeat(), duplicate=1),
        "duplicate_heartbeat_mac": vector(
            "the newest of kind 4 once more", heartbeat_mac(), before=[heartbeat_mac()], duplicate=1
        ),
        "heartbeat_rate": vector(
            "the 51st of kind 3 within a second whose session was not seen",
            heartbeat(number=51, session=51),
            before=first,
            heartbeat_rate=1,
        ),
    }


def _unsorted(books: str) -> str:
    """The same object with its first key last."""
    first, rest = books[1:-1].split(',"channels"')
    return f'{{"channels"{rest},{first}}}'


def two_key_vectors() -> dict[str, Vector]:
    """A receiver that holds two link keys, the first of which is the newer."""
    both, old = (LINK_KEY, OTHER_KEY), key_id(OTHER_KEY)
    heard = [heartbeat_mac(epoch=9, link_key=OTHER_KEY)]
    return {
        "good_data_of_the_older_key": vector(
            "the newer key has not spoken",
            data(link_key=OTHER_KEY, key_id=old),
            keys=both,
            before=heard,
            accepted={0: painted(S)},
        ),
        "good_data_of_the_older_key_after_the_newer_spoke": vector(
            "what the older key admitted may still speak",
            data(link_key=OTHER_KEY, key_id=old),
            keys=both,
            before=[*heard, heartbeat_mac(sessions={f"{SESSION + 1:016x}": 0})],
            accepted={0: painted(S)},
        ),
        "good_data_of_a_session_that_the_newer_key_took": vector(
            "both keys announced it: it is the newer one's",
            data(),
            keys=both,
            before=[*heard, heartbeat_mac()],
            accepted={0: painted(S)},
        ),
        "session_of_the_other_key": vector(
            "sealed under a held key that did not admit this session",
            data(link_key=OTHER_KEY, key_id=old),
            keys=both,
            before=[heartbeat_mac()],
            session=1,
        ),
        "session_that_the_newer_key_took": vector(
            "the older key admitted it, and then the newer one did",
            data(link_key=OTHER_KEY, key_id=old),
            keys=both,
            before=[*heard, heartbeat_mac()],
            session=1,
        ),
        "session_under_another_key_id": vector(
            "sealed under the key that admitted it, and its header names the other one",
            data(key_id=old),
            keys=both,
            before=[heartbeat_mac()],
            session=1,
        ),
        "tag_of_the_other_key": vector(
            "sealed under the other held key, and its header names the one that admitted it",
            data(link_key=OTHER_KEY),
            keys=both,
            before=[heartbeat_mac()],
            tag=1,
        ),
    }
