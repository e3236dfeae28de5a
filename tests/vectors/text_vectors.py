"""The vectors of ``texts/``: paths, canonical JSON and times (docs/bundle-format.md), many cases a file."""

from tests.vectors.datagrams import Vector


def path_cases() -> Vector:
    """Paths that may be together, in this order, and those that may not."""
    deep, long = "/".join("a" * 64), "/".join(["é" * 127 + "a"] * 15 + ["a" * 255])
    longest = long[:-1] + "/a"
    good: dict[str, list[str]] = {
        "ordinary": ["a", "b/c", "b/d/e"],
        "an empty folder": ["a/"],
        "64 components": [deep],
        "a component of 255 bytes": ["a" * 255, "é" * 127 + "b"],
        "4095 bytes": [long],
        "4096 bytes": [longest],
        "a folder of 4096 bytes, and its slash": [longest + "/"],
        "a folder and what lies in it": ["a/", "a/b"],
        "a letter without its dot is another one": ["i", "\u0131"],
        "dots that are no step": ["...", ".a", "a.", ".git/x"],
        "what a shell would not like": [" ", "-rf", "*", "$(x)", "\\", "a:b"],
        "a format character: receivers take it": ["a\u202eb"],
        "a character that Unicode does not have yet: receivers take it": ["\u0378"],
        "letters that only look alike": ["a", "\u0430"],
        "compatibility forms are not folded": ["\uff41", "a", "\ufb01x", "fix2"],
        "one folder for two files": ["A/b", "A/c"],
    }
    bad: dict[str, list[str]] = {
        "empty": [""],
        "the root": ["/"],
        "absolute": ["/a"],
        "an empty component": ["a//b"],
        "here": ["a/./b"],
        "above": ["a/.."],
        "a NUL": ["a\0b"],
        "a line end": ["a\nb"],
        "delete": ["a\x7f"],
        "a control character of Latin-1": ["a\x85"],
        "65 components": [deep + "/a"],
        "a component of 256 bytes": ["é" * 128],
        "4097 bytes": [long[:-1] + "/" + "a" * 2],
        "a folder of 4097 bytes, without its slash": [long[:-1] + "/" + "a" * 2 + "/"],
        "twice": ["a", "a"],
        "an empty folder twice": ["a/", "a/"],
        "a capital with its dot": ["\u0130", "i\u0307"],
        "capitals": ["a", "A"],
        "sharp s": ["stra\u00dfe", "STRASSE"],
        "long s": ["\u017f", "s"],
        "the sign of Kelvin": ["\u212a", "k"],
        "sigma at the end of a word": ["\u03c2", "\u03c3"],
        "one letter, composed and not": ["\u00e9", "e\u0301"],
        "the same, in capitals": ["\u00c9", "e\u0301"],
        "a file and a folder": ["a", "a/b"],
        "a folder and a file": ["a/b", "a"],
        "a file and a folder in capitals": ["a", "A/b"],
        "folders that differ in case": ["a/b", "A/c"],
        "an empty folder and a file": ["a/", "a"],
    }
    cases = [{"says": says, "paths": paths, "is_taken": True} for says, paths in good.items()]
    return {
        "says": "which paths a bundle may hold together",
        "cases": cases + [{"says": says, "paths": paths, "is_taken": False} for says, paths in bad.items()],
    }


def text_cases() -> Vector:
    """Texts that are canonical JSON, and others."""
    good = [
        "{}",
        "[]",
        "null",
        '{"a":1,"b":[true,false,null]}',
        "-1",
        "9223372036854775807",
        '"\\"\\\\\\b\\f\\n\\r\\t"',
    ]
    good += [
        '"\\u0000\\u001f"',
        '"/\x7f\u0080\u2028\ud7ff\ue000\U0001f600"',
        '{"\ue000":1,"\U00010000":2}',
        "[" * 16 + "]" * 16,
    ]
    bad = ["", " {}", "{} ", '{"a": 1}', '{"b":1,"a":2}', '{"a":1,"a":1}', "1.0", "1e2", "-0", "01", "NaN", "Infinity"]
    bad += [
        "9" * 20,
        '"\\/"',
        '"\\u0041"',
        '"\\u001F"',
        '"\\u000a"',
        '"\\ud800"',
        '"\\ud83d\\ude00"',
        "'a'",
        "\ufeff{}",
    ]
    bad += ['{"\U00010000":2,"\ue000":1}', "[" * 17 + "]" * 17, "{a:1}", "[1,]", "{}{}"]
    cases = [{"text": text, "is_canonical": True} for text in good]
    return {
        "says": "which texts are canonical JSON",
        "cases": cases + [{"text": text, "is_canonical": False} for text in bad],
    }


def time_cases() -> Vector:
    """Texts that are a time, and others."""
    good = ["2026-02-28T00:00:00Z", "2028-02-29T23:59:59Z", "2000-02-29T00:00:00Z", "0001-01-01T00:00:00Z"]
    good += ["9999-12-31T23:59:59Z"]
    bad = ["2026-02-31T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z"]
    bad += ["2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-32T00:00:00Z"]
    bad += ["0000-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z"]
    bad += ["2016-12-31T23:59:60Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00z", "2026-01-01 00:00:00Z"]
    bad += ["2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00.0Z", "20260101T000000Z", "2026-1-1T0:0:0Z", ""]
    bad += ["2026-01-01T00:00:00Z\n", "\u0662\u0660\u0662\u0666-01-01T00:00:00Z", "12026-01-01T00:00:00Z"]
    cases = [{"text": text, "is_time": True} for text in good] + [{"text": text, "is_time": False} for text in bad]
    return {"says": "which texts are a time", "cases": cases}


def texts() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    return {"canonical_json": text_cases(), "times": time_cases(), "paths": path_cases()}
