"""What is found of Python packages in a bundle, also where the bundle means harm."""

import io
import json
import struct
import zipfile
from pathlib import Path

import pytest

from receiver.describe import pypi
from receiver.describe.protocols import Described, Made
from tests.packages import sdist, tar_gz, wheel, zipped
from tests.serving import BUILT, FolderFiles


def describe(folder: Path, files: dict[str, bytes]) -> Made:
    """Look at a bundle of these files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return pypi.describe(Described("0" * 16, "python", "acme", "1", "", BUILT, FolderFiles(folder)))


def served(made: Made) -> list[str]:
    """Names of the files that are served."""
    return [file["filename"] for fact in made.facts if fact.kind == "pypi" for file in json.loads(fact.value)]


def test_wheels_and_source_archives_are_found_anywhere(tmp_path: Path) -> None:
    """Under one normal name, spelt as the packages spell it; other files are nobody's business."""
    made = describe(tmp_path, {
        **{f"a/b/{k}": v for k, v in wheel("Acme.Tool", "1.0").items()}, **sdist("acme-tool", "1.0"),
        "README": b"x", "data.tar.gz": b"no archive", "numbers.zip": b"",
    })  # fmt: skip
    assert [(claim.kind, claim.normal) for claim in made.claims] == [("pypi", "acme-tool")]
    assert sorted(served(made)) == ["Acme.Tool-1.0-py3-none-any.whl", "acme_tool-1.0.tar.gz"]
    assert made.problems == []
    assert len(made.blake2b) == 2


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        (wheel("acme-tool", "1.0", says=("numpy", "1.0")), "its metadata name numpy, not acme-tool"),
        (wheel("acme-tool", "1.0", says=("acme-tool", "9.0")), "its metadata say version 9.0, not 1.0"),
        (sdist("acme-tool", "1.0", says=("numpy", "1.0")), "its metadata name numpy"),
        (wheel("acme-tool", "1.0", says=("acme-tool\nName: numpy", "1.0")), "its metadata say name 2 times"),
        (wheel("acme-tool", "1.0", extra={"x-1.dist-info/METADATA": b"Name: x\n"}), "2 folders that end in .dist-info"),
        ({"acme_tool-1.0-py3-none-any.whl": b"no zip"}, "it has no end record"),
        ({"acme_tool-1.0-py3-none-any.whl": zipped({"a": b""})}, "it has no metadata"),
        ({"acme_tool-1.0.tar.gz": tar_gz({"acme_tool-1.0/setup.py": b""})}, "it has no metadata"),
        ({"acme.whl": b""}, "Invalid wheel filename"),
        ({'acme_tool-1.0-py3-none-an"y.whl': b""}, "other characters"),
    ],
)
def test_what_is_not_what_it_says_is_a_problem(tmp_path: Path, files: dict[str, bytes], problem: str) -> None:
    """It is not served, and claims no name; what lies beside it is served."""
    made = describe(tmp_path, {**files, **wheel("fine", "1.0")})
    assert [claim.normal for claim in made.claims] == ["fine"]
    assert served(made) == ["fine-1.0-py3-none-any.whl"]
    (said,) = made.problems
    assert "is not served to pip" in said
    assert problem in said


def test_of_two_files_of_one_name_the_first_by_path_is_served(tmp_path: Path) -> None:
    """The other is a problem, unless it is the same."""
    one, two = wheel("acme", "1.0"), wheel("acme", "1.0", content="other")
    (name,) = one
    made = describe(tmp_path, {f"a/{name}": one[name], f"b/{name}": two[name], f"c/{name}": one[name]})
    assert made.blake2b == {f"a/{name}"}
    assert [problem.partition(":")[0] for problem in made.problems] == [f"b/{name} is not served to pip"]


def test_a_bomb_in_metadata_is_not_unpacked(tmp_path: Path) -> None:
    """4 MiB is more than any; the directory says how long it is, or the unpacking shows it."""
    long = b"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n\n" + bytes(5 << 20)
    honest = zipped({"acme-1.0.dist-info/METADATA": long})
    assert len(honest) < 10_000
    lying = honest.replace(struct.pack("<I", len(long)), struct.pack("<I", 100))
    for content in (honest, lying):
        made = describe(tmp_path, {"acme-1.0-py3-none-any.whl": content})
        assert (made.facts, made.claims, len(made.problems)) == ([], [], 1)


def test_a_directory_of_many_members_costs_little(tmp_path: Path) -> None:
    """An end record that announces millions of them finds none."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", b"")
    raw = bytearray(out.getvalue())
    raw[-14:-10] = struct.pack("<HH", 0xFFFE, 0xFFFE)
    made = describe(tmp_path, {"acme-1.0-py3-none-any.whl": bytes(raw)})
    assert (made.facts, len(made.problems)) == ([], 1)


def test_two_readings_of_one_wheel_are_none(tmp_path: Path) -> None:
    """A wheel behind another one: some readers take the first, some the second."""
    one, two = (next(iter(wheel("acme", "1.0", content=text).values())) for text in ("a", "b"))
    made = describe(tmp_path, {"acme-1.0-py3-none-any.whl": one + two})
    assert (made.facts, len(made.problems)) == ([], 1)


def test_wheels_of_one_version_share_their_metadata(tmp_path: Path) -> None:
    """One for each platform; the card keeps it once."""
    made = describe(tmp_path, {**wheel("acme", "1.0"), **wheel("acme", "1.0", tag="cp311-cp311-linux_x86_64")})
    assert len([fact for fact in made.facts if fact.kind == "pypi.metadata"]) == 1
    assert len(served(made)) == 2
