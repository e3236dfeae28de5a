"""The vectors of ``second/``: the object of the files table of ``diode-bundle-2``, with links and times."""

from typing import Any

from blake3 import blake3

from tests.vectors.datagrams import Vector
from tests.vectors.envelope_vectors import canonical
from tests.vectors.manifest_vectors import line

EARLIEST, LATEST = -(1 << 31) * 10**9, (1 << 63) - 1
FILES = {"a": line("a"), "x/y/f": line("x/y/f", 2)}


def link(path: str, text: str) -> str:
    """One line of a link."""
    return canonical({"link": text, "path": path}) + "\n"


def second(says: str, lines: dict[str, str] | str, times: list[int] | bytes = b"", **said: Any) -> Vector:
    """What one file holds. ``lines``: by path, to be sorted; ``said``: what the manifest says otherwise."""
    text = lines if isinstance(lines, str) else "".join(lines[path] for path in sorted(lines, key=str.encode))
    behind = times if isinstance(times, bytes) else b"".join(one.to_bytes(8, "big", signed=True) for one in times)
    usual = {
        "entries": text.count("\n"),
        "links": text.count('{"link"'),
        "times": len(behind) // 8,
        "content": blake3(text.encode()).hexdigest(),
        "stream_bytes": 3,
    }
    return {"says": says, **usual, **said, "table": (text.encode() + behind).hex()}


def linked(says: str, **links: str) -> Vector:
    """Two files, and links whose paths have ``_`` for ``/``."""
    named = {path.replace("_", "/"): text for path, text in links.items()}
    return second(says, FILES | {path: link(path, text) for path, text in named.items()})


def far(says: str, last: int) -> Vector:
    """A link to a file whose path has 1004 bytes, and ``last`` more."""
    path = "/".join(["d" * 250] * 4 + ["f" * last])
    return second(says, {"l": link("l", path), path: line(path, 3)})


def seconds() -> dict[str, Vector]:
    """All of them, by file name without suffix."""
    deep = FILES | {"x/e/": '{"path":"x/e/"}\n', "x/y/l": link("x/y/l", "../../a")}
    return {
        "good_link_up": linked("from x/y to the top", x_y_l="../../a"),
        "good_link_beside": linked("to a file beside it, with a dot", b="./a"),
        "good_link_to_a_folder": linked("with a slash at its end", l="x/y/"),
        "good_link_up_and_down": linked("through folders that are there", x_l="y/../../a"),
        "good_target_of_1023_bytes": far("the longest", 19),
        "good_times": second("lines, then the top, then x, then x/y", FILES, [EARLIEST, -1, 0, 1, LATEST]),
        "good_times_of_links_and_folders": second("four lines; the top, x, x/y", deep, list(range(7))),
        "manifest_link_with_a_size": second("a member too many", FILES | {"l": link("l", "a")[:-2] + ',"size":0}\n'}),
        "manifest_link_that_is_absolute": linked("it begins with a slash", b="/a"),
        "manifest_link_that_is_empty": linked("it says nothing", b=""),
        "manifest_link_of_1024_bytes": far("one byte too many", 20),
        "manifest_link_that_is_a_folder": second("a slash at the end of its path", FILES | {"l/": link("l/", "a")}),
        "manifest_a_link_too_many": second("one more than is signed", FILES | {"l": link("l", "a")}, links=0),
        "manifest_a_link_too_few": second("one less than is signed", FILES, links=1),
        "manifest_a_time_too_few": second("x/y has none", FILES, [0] * 4),
        "manifest_a_time_too_many": second("there is no sixth", FILES, [0] * 6),
        "manifest_a_time_too_early": second("by a nanosecond", FILES, [0, 0, 0, 0, EARLIEST - 1]),
        "manifest_other_content": second("the lines have another digest", FILES, [0] * 5, content="0" * 64),
        "path_link_out": linked("it leads out", x_l="../../a"),
        "path_link_out_and_in": linked("it leads out, and in again", l="../data/a"),
        "path_link_to_nothing": linked("there is no such path", l="b"),
        "path_link_to_another_case": linked("A is not a", l="A"),
        "path_link_through_a_file": linked("a is no folder", l="a/../a"),
        "path_link_to_a_file_with_a_slash": linked("a is no folder", l="a/"),
        "path_link_to_itself": linked("and so to nothing", l="l"),
        "path_link_to_a_link": linked("m is one", l="m", m="a"),
        "path_link_through_a_link": linked("x/y/l leads to the folder of m", x_y_l="..", m="x/y/l/y/f"),
        "path_link_that_a_lexical_check_takes": linked(
            "x/y/l/.. is x/y by its words alone", x_y_l="../..", m="x/y/l/.."
        ),
        "path_link_to_a_folder_above": linked("following it has no end", x_y_l=".."),
        "path_links_in_a_circle": second(
            "folders that lead to each other",
            FILES | {"x/l": link("x/l", "../z"), "z/f": line("z/f", 0), "z/l": link("z/l", "../x")},
        ),
        "path_link_of_129_components": linked("one too many", l="./" * 128 + "a"),
        "path_link_that_is_a_folder_too": second("x is a link and a folder", FILES | {"x": link("x", "a")}),
        "path_link_in_another_case": second("L and l", FILES | {"L": link("L", "a"), "l": link("l", "a")}),
    }
