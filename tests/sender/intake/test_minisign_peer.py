"""minisign itself as the judge of what a signature file may look like, and its signatures as what is taken."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from diode.errors import UsageError
from sender.intake.minisign import MinisignKey
from sender.intake.verdict import Reason
from tests.needs import need
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.test_vendors import one

CONTENT = b"content\n"


@dataclass(frozen=True)
class Tool:
    """minisign, with a key of its own."""

    folder: Path

    @property
    def key(self) -> Path:
        """The public half."""
        return self.folder / "k.pub"

    def sign(self, *options: str, content: bytes = CONTENT) -> bytes:
        """The text of a signature file."""
        (self.folder / "a").write_bytes(content)
        command: list[str | Path] = ["minisign", "-S", "-s", "k.sec", "-m", "a", "-x", "made", *options]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)
        return (self.folder / "made").read_bytes()

    def takes(self, signature: bytes, key: Path | None = None) -> bool:
        """Whether it verifies CONTENT by this."""
        (self.folder / "a").write_bytes(CONTENT)
        (self.folder / "a.minisig").write_bytes(signature)
        command: list[str | Path] = ["minisign", "-V", "-q", "-m", "a", "-p", key or self.key]
        return subprocess.run(command, cwd=self.folder, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    """The program; the tests are skipped where it is not."""
    need("minisign")
    made = Tool(tmp_path_factory.mktemp("minisign"))
    command = ["minisign", "-G", "-W", "-p", "k.pub", "-s", "k.sec"]
    subprocess.run(command, cwd=made.folder, check=True, capture_output=True)
    return made


@pytest.mark.parametrize(
    "options", [(), ("-l",), ("-t", ""), ("-t", " \u00fc\tx \t"), ("-c", "u: "), ("-t", "x" * 900)]
)
def test_what_it_signs(judge: Judge, tool: Tool, options: tuple[str, ...]) -> None:
    """Prehashed and legacy, with any comment that it takes."""
    assert judge(one(tool.sign(*options)), minisign=tool.key).accepted
    verdict = judge(one(tool.sign(*options), b"Content\n"), minisign=tool.key)
    assert ("minisign", "rejected", Reason.SIGNATURE) == outcome(verdict)


def line(number: int, change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Change one line, its end left out."""

    def changed(text: bytes) -> bytes:
        lines = text.split(b"\n")
        lines[number] = change(lines[number])
        return b"\n".join(lines)

    return changed


FORMS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "as it is": (lambda text: text, True),
    "Windows": (lambda text: text.replace(b"\n", b"\r\n"), True),
    "two returns": (line(2, lambda text: text + b"\r\r"), True),
    "blank lines behind": (lambda text: text + b"\n\r\n\n", True),
    "blanks behind": (lambda text: text + b" \t\n ", True),
    "a zero": (line(0, lambda text: text + b"\0"), False),
    "no last end": (lambda text: text[:-1], True),
    "comment in Latin-1": (line(0, lambda text: text + b" M\xfcller"), True),
    "empty comment": (line(0, lambda text: text[:19]), True),
    "no comment": (line(0, lambda text: text[:18]), False),
    "blank line before": (lambda text: b"\n" + text, False),
    "blank line between": (line(1, lambda text: b"\n" + text), False),
    "byte order mark": (lambda text: b"\xef\xbb\xbf" + text, False),
    "old line ends": (lambda text: text.replace(b"\n", b"\r"), False),
    "blank behind the signature": (line(1, lambda text: text + b" "), False),
    "blank before the signature": (line(1, lambda text: b" " + text), False),
    "no padding": (line(3, lambda text: text.rstrip(b"=")), False),
    "blank behind the trusted comment": (line(2, lambda text: text + b" "), False),
    "return in the trusted comment": (line(2, lambda text: text.replace(b": ", b": \r", 1)), False),
    "no trusted comment": (line(2, lambda _: b""), False),
    "another trusted comment": (line(2, lambda text: text + b"x"), False),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(judge: Judge, tool: Tool, name: str) -> None:
    """What ``minisign -V`` takes of other line ends and blank lines is taken, and nothing that it refuses."""
    change, taken = FORMS[name]
    signature = change(tool.sign())
    assert (taken, taken) == (tool.takes(signature), judge(one(signature), minisign=tool.key).accepted)


def test_nothing_unsigned_behind_a_signature(judge: Judge, tool: Tool) -> None:
    """The tool passes over what stands behind the fourth line; here it would cross unsigned, and is refused."""
    for more in (b"more\n", b"\nmore", tool.sign()):
        assert tool.takes(tool.sign() + more)
        verdict = judge(one(tool.sign() + more), minisign=tool.key)
        assert ("minisign", "rejected", Reason.SIGNATURE_MALFORMED) == outcome(verdict)


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        (lambda text: text.replace(b"\n", b"\r\n"), True),
        (lambda text: text + b"\n\n", True),
        (lambda text: text + b"more\n", True),
        (lambda text: text[:-1], True),
        (line(0, lambda _: b"M\xfcller's"), True),
        (line(1, lambda text: text[:-2]), False),
        (line(1, lambda _: b""), False),
    ],
)
def test_public_keys(judge: Judge, tool: Tool, tmp_path: Path, change: Callable[[bytes], bytes], taken: bool) -> None:
    """A key's file in the forms that the tool takes."""
    (path := tmp_path / "other.pub").write_bytes(change(tool.key.read_bytes()))
    assert tool.takes(tool.sign(), path) == taken
    if taken:
        assert judge(one(tool.sign()), minisign=path).accepted
    else:
        with pytest.raises(UsageError):
            MinisignKey(path)


def test_public_key_alone(judge: Judge, tool: Tool, tmp_path: Path) -> None:
    """The line that ``minisign -P`` takes, in a file of its own."""
    (path := tmp_path / "line.pub").write_bytes(tool.key.read_bytes().split(b"\n")[1])
    assert judge(one(tool.sign()), minisign=path).accepted
