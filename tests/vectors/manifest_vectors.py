"""The vectors of ``manifests/`` and ``tables/``: what may be signed (docs/bundle-format.md)."""

import hashlib
from typing import Any

from blake3 import blake3

from tests.vectors.datagrams import Vector
from tests.vectors.envelope_vectors import canonical

SHAPE = {"columns": 64, "k": 200, "profile": "clean", "r": 10, "symbol_bytes": 448}
SLAB = 200 * 64 * 448
HEX = "0123456789abcdef" * 4


def manifest(**changes: Any) -> dict[str, Any]:
    """A manifest as a value."""
    usual = {
        "attestation": None,
        "channel": "models",
        "created": "2026-02-28T23:59:59Z",
        "expires": None,
        "files": {"blake3": HEX, "entries": 1, "size": 200},
        "format": "diode-bundle-1",
        "labels": None,
        "name": "item",
        "previous": None,
        "sequence": 1,
        "shape": SHAPE,
        "slabs": {"blake3": HEX, "entries": 1, "size": 32},
        "stream_bytes": 900,
        "supersedes": None,
        "version": "1",
    }
    return usual | changes


def pinned(entries: int, size: int) -> dict[str, Any]:
    """What a manifest says of a table."""
    return {"blake3": HEX, "entries": entries, "size": size}


def payload(says: str, text: str | dict[str, Any] | bytes) -> Vector:
    """What one file of ``manifests/`` holds."""
    raw = text if isinstance(text, bytes) else (text if isinstance(text, str) else canonical(text)).encode()
    number = int.from_bytes(blake3(raw).digest()[:8], "big") or 1
    return {"says": says, "payload": raw.hex(), "bundle": f"{number:016x}"}


def good_manifests() -> dict[str, Vector]:
    """Payloads that a receiver takes."""
    most = 1 << 25
    labels = {"classification": "OPEN", "releasable_to": ["NLD", "A /_.-9"]}
    return {
        "good": payload("an ordinary one", manifest()),
        "good_empty": payload(
            "nothing in it",
            manifest(stream_bytes=0, files=pinned(0, 0), slabs=pinned(0, 0)),
        ),
        "good_with_everything": payload(
            "every field is given",
            manifest(
                attestation="{}",
                expires="2028-02-29T00:00:00Z",
                labels=labels,
                previous="00000000000000ff",
                sequence=7,
                supersedes="0.9",
            ),
        ),
        "good_at_its_limits": payload(
            "the largest numbers",
            manifest(
                sequence=1 << 53,
                files=pinned(10**6, 1 << 30),
                slabs=pinned(most, 32 * most),
                stream_bytes=most * SLAB,
                channel="0" + "a" * 63,
                name="é" * 127,
                created="9999-12-31T23:59:59Z",
            ),
        ),
        "good_name_that_is_escaped": payload(
            "quotes, a backslash, and what needs no escape", manifest(name='a"b\\c é\u2028')
        ),
    }


def second(**changes: Any) -> dict[str, Any]:
    """A manifest of version 2, with a link and two times."""
    return manifest(format="diode-bundle-2", content=HEX[::-1], links=1, times=2) | changes


def second_manifests() -> dict[str, Vector]:
    """Payloads of version 2, some of which are refused."""
    bad: dict[str, dict[str, Any]] = {
        "of_version_1_with_its_fields": {"format": "diode-bundle-1"},
        "of_version_2_with_nothing_of_it": {"links": 0, "times": 0},
        "of_version_2_without_content": {"content": None},
        "more_links_than_lines": {"links": 2},
        "too_many_links": {"links": 10_001, "files": pinned(10_001, 1 << 20), "times": 10_002},
        "as_many_times_as_lines": {"times": 1},
        "too_many_times": {"times": 2_000_001, "files": pinned(10**6, 1 << 30)},
        "times_larger_than_their_table": {"times": 26},
        "content_of_another_table": {"times": 0},
    }
    lacking = {name: value for name, value in second().items() if name != "links"}
    return {
        "good_of_version_2": payload("a link, and a time of it and of the top", second()),
        "good_of_version_2_without_times": payload("a link", second(times=0, content=HEX)),
        "good_of_version_2_without_links": payload("times", second(links=0)),
        "good_of_version_2_at_its_limits": payload(
            "the largest numbers", second(links=10_000, times=2_000_000, files=pinned(10**6, 1 << 30))
        ),
        "manifest_of_version_2_a_field_missing": payload("no links, not even 0", lacking),
        **{f"manifest_{name}": payload(name.replace("_", " "), second(**fields)) for name, fields in bad.items()},
    }


def bad_manifests() -> dict[str, Vector]:
    """Payloads that a receiver refuses, well signed or not."""
    text = canonical(manifest())
    more = (1 << 25) + 1
    spelled = {
        "a_blank": text.replace(":1,", ": 1,", 1),
        "a_line_end_behind_it": text + "\n",
        "keys_not_sorted": '{"version":"1",' + text[1:].replace(',"version":"1"', ""),
        "a_key_twice": text.replace('"name"', '"name":"item","name"', 1),
        "a_byte_order_mark": "\ufeff" + text,
        "an_escape_that_need_not_be": text.replace("item", "it\\u0065m", 1),
        "an_escaped_slash": text.replace("null", '"a\\/b"', 1),
        "a_fraction": text.replace('"sequence":1', '"sequence":1.0', 1),
        "an_exponent": text.replace('"stream_bytes":900', '"stream_bytes":9e2', 1),
        "minus_zero": canonical(manifest(stream_bytes=0)).replace(":0,", ":-0,", 1),
        "no_number": text.replace('"sequence":1', '"sequence":NaN', 1),
        "no_object": "[]",
        "half_of_it": text[: len(text) // 2],
    }
    changed: dict[str, dict[str, Any]] = {
        "an_unknown_field": {"mood": "good"},
        "another_format": {"format": "diode-bundle-3"},
        "channel_in_capitals": {"channel": "Models"},
        "channel_of_65": {"channel": "a" * 65},
        "channel_with_a_line_end": {"channel": "models\n"},
        "version_current": {"version": "current"},
        "sequence_0": {"sequence": 0},
        "sequence_above_2_53": {"sequence": (1 << 53) + 1},
        "sequence_true": {"sequence": True},
        "sequence_as_text": {"sequence": "1"},
        "previous_in_capitals": {"previous": "00000000000000FF"},
        "created_on_31_february": {"created": "2026-02-31T00:00:00Z"},
        "created_on_29_february_2027": {"created": "2027-02-29T00:00:00Z"},
        "created_at_24": {"created": "2026-01-01T24:00:00Z"},
        "created_in_a_leap_second": {"created": "2016-12-31T23:59:60Z"},
        "created_with_an_offset": {"created": "2026-01-01T00:00:00+00:00"},
        "created_with_a_fraction": {"created": "2026-01-01T00:00:00.0Z"},
        "created_in_year_0": {"created": "0000-01-01T00:00:00Z"},
        "expires_on_31_april": {"expires": "2026-04-31T00:00:00Z"},
        "65_labels": {"labels": {"classification": "A", "releasable_to": ["B"] * 65}},
        "label_that_begins_with_a_blank": {"labels": {"classification": " A", "releasable_to": []}},
        "shape_of_another_profile": {"shape": SHAPE | {"r": 20}},
        "shape_of_449": {"shape": SHAPE | {"symbol_bytes": 449}},
        "too_many_files": {"files": pinned(10**6 + 1, 200)},
        "files_too_large": {"files": pinned(1, (1 << 30) + 1)},
        "too_many_slabs": {"stream_bytes": more * SLAB, "slabs": pinned(more, 32 * more)},
        "slabs_of_another_stream": {"slabs": pinned(2, 64)},
        "slabs_of_another_size": {"slabs": pinned(1, 33)},
        "digest_in_capitals": {"files": {"blake3": HEX.upper(), "entries": 1, "size": 200}},
        "stream_above_2_53": {"stream_bytes": (1 << 53) + 1},
    }
    named = {
        "name_of_two_dots": {"name": ".."},
        "name_with_a_slash": {"name": "a/b"},
        "name_with_a_line_end": {"name": "a\nb"},
        "name_of_256_bytes": {"name": "é" * 128},
        "name_that_is_empty": {"name": ""},
        "supersedes_with_a_slash": {"supersedes": "a/b"},
    }
    missing = {name: value for name, value in manifest().items() if name != "labels"}
    return {
        **{f"manifest_{name}": payload(name.replace("_", " "), spelling) for name, spelling in spelled.items()},
        **{f"manifest_{name}": payload(name.replace("_", " "), manifest(**fields)) for name, fields in changed.items()},
        **{f"path_{name}": payload(name.replace("_", " "), manifest(**fields)) for name, fields in named.items()},
        "manifest_a_field_missing": payload("no labels, not even null", missing),
        "manifest_not_utf_8": payload("no UTF-8", text.encode().replace(b"item", b"it\xffm", 1)),
        "manifest_utf_16": payload("another encoding", text.encode("utf-16")),
    }


def line(path: str, size: int = 1, **changes: Any) -> str:
    """One line of a files table."""
    content = b"x" * size
    digests = {"blake3": blake3(content).hexdigest(), "sha256": hashlib.sha256(content).hexdigest()}
    return canonical({**digests, "path": path, "size": size, **changes}) + "\n"


def table(says: str, text: str, entries: int, stream_bytes: int) -> Vector:
    """What one file of ``tables/`` holds."""
    return {"says": says, "entries": entries, "stream_bytes": stream_bytes, "table": text.encode().hex()}


def tables() -> dict[str, Vector]:
    """Files tables."""
    a, b, folder = line("a"), line("b", 2), '{"path":"c/d/"}\n'
    bad = {
        "not_sorted": b + a,
        "no_line_end": (a + b)[:-1],
        "carriage_returns": a.replace("\n", "\r\n") + b,
        "an_empty_line": a + "\n" + b,
        "a_blank": a.replace(":1", ": 1") + b,
        "an_unknown_field": line("a", mode=420) + b,
        "a_field_missing": a.replace(',"size":1', "") + b,
        "not_executable": line("a", executable=False) + b,
        "capital_digits": a.replace(a[11:75], a[11:75].upper()) + b,
        "a_folder_with_a_size": '{"path":"a/","size":3}\n' + b,
        "sizes_that_do_not_add_up": a + line("b", 3),
        "a_line_too_many": a + b + line("c", 0),
        "a_line_too_few": line("a", 3),
        "a_negative_size": line("a", 0).replace(":0}", ":-1}") + line("b", 4),
    }
    return {
        "good": table("two files", a + b, 2, 3),
        "good_empty": table("nothing", "", 0, 0),
        "good_folder_and_executable": table(
            "a file to be executed, and an empty folder", line("a", 3, executable=True) + folder, 2, 3
        ),
        "good_order_of_bytes": table(
            "sorted by UTF-8", line("Z") + line("a") + line("\ufffd") + line("\U00010000"), 4, 4
        ),
        "good_folder_that_is_not_empty": table("it is there once", '{"path":"a/"}\n' + line("a/b"), 2, 1),
        "good_name_that_is_escaped": table("a quote and a backslash", line('a"\\') + line("é"), 2, 2),
        **{f"manifest_{name}": table(name.replace("_", " "), text, 2, 3) for name, text in bad.items()},
        "path_twice": table("a path is there twice", a + a, 2, 2),
        "path_two_that_differ_in_case": table("A and a", line("A") + line("a", 2), 2, 3),
    }


def manifests() -> dict[str, Vector]:
    """All payloads, by file name without suffix."""
    return good_manifests() | second_manifests() | bad_manifests()
