"""``SHA256SUMS``: taken as ``sha256sum -c`` takes it, which is asked here wherever it can be."""

import hashlib
import shutil
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sender.intake import sums
from sender.intake.verdict import Check, Reason, Verdict
from tests.sender.intake.conftest import Judge
from tests.sender.intake.test_pipeline import outcome
from tests.sender.intake.vendors import sums as listed

FILES = {"a.txt": b"first\n", "sub/b c.json": b"{}"}
CLEAR_SIGNED = Path(__file__).parents[2] / "vectors" / "sums"
DIGESTS = {path: hashlib.sha256(content).hexdigest().encode() for path, content in FILES.items()}
A, B = DIGESTS["a.txt"], DIGESTS["sub/b c.json"]
SECOND = B + b"  sub/b c.json\n"


def sums_of(verdict: Verdict) -> Check:
    """The list's part."""
    return next(check for check in verdict.checks if check.name == "sha256sums")


@pytest.fixture
def judge_list(judge: Judge) -> Judge:
    """The verdict on FILES with this list."""

    def judged(text: bytes) -> Verdict:
        return judge(FILES | {"SHA256SUMS": text}, sha256sums="SHA256SUMS")

    return judged


@pytest.fixture
def coreutils(item: Path) -> Callable[..., bool]:
    """Whether sha256sum itself takes this list of the files that lie in the item."""

    def takes(text: bytes, *options: str) -> bool:
        (item / "SHA256SUMS").write_bytes(text)
        command = ["sha256sum", "-c", *options, "SHA256SUMS"]
        quiet = subprocess.DEVNULL
        return subprocess.call(command, cwd=item, stdin=quiet, stdout=quiet, stderr=quiet) == 0

    return takes


TAKEN: dict[str, bytes] = {
    "text": A + b"  a.txt\n" + SECOND,
    "binary": A + b" *a.txt\n" + SECOND,
    "capitals": A.upper() + b"  a.txt\n" + SECOND,
    "Windows": A + b"  a.txt\r\n" + SECOND[:-1] + b"\r\n",
    "no last end": A + b"  a.txt\n" + SECOND[:-1],
    "comments": b"# made by us\n#" + A + b"  other\n" + A + b"  a.txt\n" + SECOND,
    "a comment in Latin-1": b"# M\xfcller\n" + A + b"  a.txt\n" + SECOND,
    "blank lines": b"\n\r\n" + A + b"  a.txt\n\n" + SECOND + b"\r\n\n",
    "BSD": b"SHA256 (a.txt) = " + A + b"\n" + SECOND,
    "BSD of a name with brackets": b"SHA256 (sub/b c.json) = " + B + b"\nSHA256 (./a.txt)=\t" + A + b"\r\n",
    "OpenSSL": b"SHA256(a.txt)= " + A + b"\nSHA256(sub/b c.json)= " + B + b"\n",
    "one blank": A + b" a.txt\n" + B + b"\tsub/b c.json\n",
    "blanks before": b" \t" + A + b"  a.txt\n" + SECOND,
    "here": A + b"  ./a.txt\n" + B + b"  ././/sub//./b c.json\n",
    "up and down": A + b"  sub/../a.txt\n" + B + b"  sub/../sub/b c.json\n",
    "twice": (A + b"  a.txt\n") * 2 + SECOND,
    "twice by two names": A + b"  a.txt\n" + A + b"  ./a.txt\n" + SECOND,
    "escaped for nothing": b"\\" + A + b"  a.txt\n" + SECOND,
    "BSD escaped": b"\\SHA256 (a.txt) = " + A + b"\n" + SECOND,
}
REFUSED: dict[str, tuple[bytes, Reason]] = {
    "empty": (b"", Reason.FILE_EXTRA),
    "one is not named": (SECOND, Reason.FILE_EXTRA),
    "commented out": (b"#" + A + b"  a.txt\n" + SECOND, Reason.FILE_EXTRA),
    "another digest": (B + b"  a.txt\n" + SECOND, Reason.DIGEST),
    "twice and not the same": (A + b"  a.txt\n" + B + b"  ./a.txt\n" + SECOND, Reason.DIGEST),
    "no digest": (b"a.txt\n" + A + b"  a.txt\n" + SECOND, Reason.SUMS_MALFORMED),
    "a short digest": (A[1:] + b"  a.txt\n" + SECOND, Reason.SUMS_MALFORMED),
    "SHA-512": (A * 2 + b"  a.txt\n" + SECOND, Reason.SUMS_MALFORMED),
    "BSD of another digest": (b"SHA1 (a.txt) = " + A + b"\n" + SECOND, Reason.SUMS_MALFORMED),
    "BSD in small letters": (b"sha256 (a.txt) = " + A + b"\n" + SECOND, Reason.SUMS_MALFORMED),
    "a blank behind": (A + b"  a.txt \n" + SECOND, Reason.FILE_MISSING),
    "a comment behind blanks": (b" # made by us\n" + A + b"  a.txt\n" + SECOND, Reason.SUMS_MALFORMED),
    "both forms": (A + b"  a.txt\n" + B + b" sub/b c.json\n", Reason.SUMS_MALFORMED),
    "both forms, turned": (B + b" sub/b c.json\n" + A + b"  a.txt\n", Reason.FILE_MISSING),
    "outside": (A + b"  ../item/a.txt\n" + SECOND, Reason.FILE_MISSING),
    "absolute": (A + b"  /a.txt\n" + SECOND, Reason.FILE_MISSING),
    "through no folder": (A + b"  no/../a.txt\n" + SECOND, Reason.FILE_MISSING),
    "through a file": (B + b"  a.txt/../sub/b c.json\n" + A + b"  a.txt\n", Reason.FILE_MISSING),
    "as a folder": (A + b"  a.txt/\n" + SECOND, Reason.FILE_MISSING),
    "what is typed": (A + b"  a.txt\n" + A + b"  -\n" + SECOND, Reason.FILE_MISSING),
    "an unknown escape": (b"\\" + A + b"  a\\.txt\n" + SECOND, Reason.SUMS_MALFORMED),
    "half an escape": (b"\\" + A + b"  a.txt\\\n" + SECOND, Reason.SUMS_MALFORMED),
    "an escaped end": (b"\\" + A + b"  a.txt\\n\n" + SECOND, Reason.FILE_MISSING),
    "a zero": (A + b"  a.txt\0\n" + SECOND, Reason.SUMS_MALFORMED),
    "UTF-16": ((A + b"  a.txt\n" + SECOND).decode().encode("utf-16"), Reason.SUMS_MALFORMED),
    "a long name": (A + b"  " + b"./" * 2100 + b"a.txt\n" + SECOND, Reason.FILE_MISSING),
    "a long line": (A + b"  " + b"./" * 9000 + b"a.txt\n" + SECOND, Reason.SUMS_MALFORMED),
}


@pytest.mark.parametrize("name", TAKEN)
def test_forms_that_are_taken(judge_list: Judge, coreutils: Callable[..., bool], name: str) -> None:
    """Every form that sha256sum takes to the letter."""
    assert (None, {"files": 2}) == (judge_list(TAKEN[name]).failed, sums_of(judge_list(TAKEN[name])).counts)
    assert coreutils(TAKEN[name], "--strict")


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_are_refused(judge_list: Judge, coreutils: Callable[..., bool], name: str) -> None:
    """What names another file, or is no list, has its own reason; sha256sum fails too, or warns and names less."""
    text, reason = REFUSED[name]
    assert ("sha256sums", "rejected", reason) == outcome(judge_list(text))
    silent = ("one is not named", "commented out", "outside", "a zero")
    assert coreutils(text, "--strict") == (name in silent)


def test_line_is_named(judge_list: Judge) -> None:
    """Where sha256sum only warns of a line, the reason has its number."""
    assert "line 3 is not" in sums_of(judge_list(A + b"  a.txt\n\nmore\n" + SECOND)).detail


def test_marks_and_blanks_that_coreutils_warn_of(judge_list: Judge) -> None:
    """A byte order mark in front, and lines of nothing but blanks, hide no file."""
    assert judge_list(b"\xef\xbb\xbf" + A + b"  a.txt\r\n \n" + SECOND + b"\t\r\n").accepted
    assert not judge_list(A + b"  a.txt\n\xef\xbb\xbf" + SECOND).accepted


def test_escaped_names(judge: Judge, item: Path) -> None:
    """A backslash in a name is escaped, as sha256sum itself does it, in both forms."""
    for name in (r"a\b.txt", "plain", r"(c) = d\n", "-"):
        (item / name).write_bytes(name.encode())
    for options in ((), ("--tag",), ("--binary",)):
        names = [r"a\b.txt", "plain", r"(c) = d\n", "./-"]
        done = subprocess.run(["sha256sum", *options, "--", *names], cwd=item, capture_output=True, check=True)
        assert b"\\\\" in done.stdout
        assert judge({"SHA256SUMS": done.stdout}, sha256sums="SHA256SUMS").accepted


def test_missing_list_and_missing_files(judge: Judge, item: Path) -> None:
    """No list; a list in an item of its own; a file that lacks."""
    assert ("sha256sums", "rejected", Reason.SUMS_MISSING) == outcome(judge(FILES, sha256sums="SHA256SUMS"))
    shutil.rmtree(item)
    item.mkdir()
    for text, reason in ((b"# nothing\n", Reason.SUMS_MALFORMED), (SECOND, Reason.FILE_MISSING)):
        verdict = judge({"SHA256SUMS": text}, sha256sums="SHA256SUMS")
        assert ("sha256sums", "rejected", reason) == outcome(verdict)


def test_size_is_bounded(judge_list: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that is too large is not read."""
    monkeypatch.setattr(sums, "MAX_SUMS_BYTES", 100)
    assert ("sha256sums", "rejected", Reason.SUMS_MALFORMED) == outcome(judge_list(listed(FILES)))


@pytest.mark.parametrize("name", ["SHA256SUMS.asc", "crlf.asc"])
def test_clear_signed(judge_list: Judge, name: str) -> None:
    """What GnuPG has signed is read within its frame, and the verdict says that nobody checked the signature."""
    check = sums_of(judge_list((CLEAR_SIGNED / name).read_bytes()))
    assert ("passed", "clear-signed, signature not checked") == (check.outcome, check.detail)
    assert "" == sums_of(judge_list(listed(FILES))).detail


SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n%s-----BEGIN PGP SIGNATURE-----\n\nAAAA\n%s"
END = b"-----END PGP SIGNATURE-----\n"
BOTH = A + b"  a.txt\n" + SECOND
FRAMES: dict[str, tuple[bytes, Reason | None]] = {
    "whole": (SIGNED % (BOTH, END), None),
    "escaped dashes": (SIGNED % (b"- # --\n- " + BOTH, END), None),
    "no hash": ((SIGNED % (BOTH, END)).replace(b"Hash: SHA512\n", b""), None),
    "blank lines behind": (SIGNED % (BOTH, END + b"\n \n"), None),
    "a line behind": (SIGNED % (A + b"  a.txt\n", END + SECOND), Reason.SUMS_MALFORMED),
    "a comment behind": (SIGNED % (BOTH, END + b"# more\n"), Reason.SUMS_MALFORMED),
    "a line before": (SECOND + SIGNED % (A + b"  a.txt\n", END), Reason.SUMS_MALFORMED),
    "a line in the signature": (SIGNED % (A + b"  a.txt\n", SECOND + END), Reason.FILE_EXTRA),
    "a line among the headers": (
        (SIGNED % (A + b"  a.txt\n", END)).replace(b"Hash: SHA512\n", SECOND),
        Reason.SUMS_MALFORMED,
    ),
    "another header": ((SIGNED % (BOTH, END)).replace(b"Hash", b"Comment"), Reason.SUMS_MALFORMED),
    "a dash that is not escaped": (SIGNED % (b"-----\n" + BOTH, END), Reason.SUMS_MALFORMED),
    "a frame within": (SIGNED % (SIGNED % (BOTH, END), END), Reason.SUMS_MALFORMED),
    "two frames": (SIGNED % (A + b"  a.txt\n", END) + SIGNED % (SECOND, END), Reason.SUMS_MALFORMED),
    "no end": (SIGNED % (BOTH, b""), Reason.SUMS_MALFORMED),
    "no signature": (b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" + BOTH, Reason.SUMS_MALFORMED),
    "nothing in it": (SIGNED % (b"", END), Reason.FILE_EXTRA),
}


@pytest.mark.parametrize("name", FRAMES)
def test_only_what_the_frame_holds_counts(judge_list: Judge, name: str) -> None:
    """Lines before, behind, between headers or in the signature name no file, and are no list either."""
    text, reason = FRAMES[name]
    verdict = judge_list(text)
    assert reason == (verdict.failed and verdict.failed.reason)


LINE_FORMS = (
    b"%(hex)s  %(name)s",
    b"%(hex)s *%(name)s",
    b"%(hex)s %(name)s",
    b"%(hex)s\t%(name)s",
    b" \t%(hex)s  %(name)s",
    b"SHA256 (%(name)s) = %(hex)s",
    b"SHA256(%(name)s)=%(hex)s",
    b"\tSHA256 (%(name)s)\t= \t%(hex)s",
    b"\\%(hex)s  %(name)s",
    b"\\SHA256 (%(name)s) = %(hex)s",
)
NOISE = (b"", b"\r", b"#", b"# x", b" # x", b"x", b"SHA256 (a.txt) = 00", b"\\", A, A + b"  ", A + b" x", A + b"  -")
A_LINE = st.tuples(
    st.sampled_from(LINE_FORMS),
    st.sampled_from([b"", b"./", b"sub/../", b"no/../", b".//", b"../", b"/", b" ", b"*", b"\\n"]),
    st.booleans(),
)
END_OF_LINE = st.sampled_from([b"\n", b"\r\n", b"\r\r\n"])


@st.composite
def lists(draw: st.DrawFn) -> bytes:
    """Lists that name both files, each in some form, with other lines between; mostly sound ones."""
    lines = []
    plain = draw(st.booleans())
    for path in draw(st.permutations([*FILES, *draw(st.lists(st.sampled_from(list(FILES)), max_size=1))])):
        form, before, capitals = draw(A_LINE)
        before = b"./" if plain else before
        name = before + path.encode()
        lines.append(form % {b"hex": DIGESTS[path].upper() if capitals else DIGESTS[path], b"name": name})
        lines.extend(draw(st.lists(st.sampled_from(NOISE[:4] if plain else NOISE), max_size=2)))
    ends = [draw(END_OF_LINE) for _ in lines]
    if draw(st.booleans()):
        ends[-1] = b""
    return b"".join(line + end for line, end in zip(lines, ends, strict=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=lists())
def test_as_coreutils_take_it(judge_list: Judge, coreutils: Callable[..., bool], text: bytes) -> None:
    """What sha256sum takes strictly is taken; nothing is taken that it does not take at all."""
    accepted = judge_list(text).accepted
    if coreutils(text, "--strict"):
        assert accepted
    elif accepted:
        assert coreutils(text)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
@example(at=64, byte=9)
@example(at=0, byte=ord("#"))
def test_no_changed_list_accepts_changed_files(
    judge_list: Judge, coreutils: Callable[..., bool], at: int, byte: int
) -> None:
    """Whatever byte of the list is another one: it is refused, or sha256sum says the same of both files."""
    text = bytearray(BOTH)
    text[at % len(text)] = byte
    if judge_list(bytes(text)).accepted:
        assert coreutils(bytes(text), "--strict")
        assert 2 == bytes(text).lower().count(b"a.txt") + bytes(text).lower().count(b"sub/b c.json")


def test_deep_folders_take_no_memory_of_their_own() -> None:
    """A thousand files, each the only one in sixty folders of its own, are looked up without a list of the folders."""
    paths = [f"{n}/" + "/".join(["f" * 30] * 60) for n in range(1000)]
    assert sums._is_folder(f"7/{'f' * 30}", paths := sorted(paths))
    tracemalloc.start()
    try:
        assert "8/x" == sums._resolved(f"7/{'f' * 30}/../../8/./x", paths)
        assert sums._resolved("7/ff/../x", paths) is None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
