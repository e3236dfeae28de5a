"""When the content of a bundle was made, as each format says it, in files that the formats' own tools wrote."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from diode.storage.folder import Folder
from receiver.describe.describing import describe
from tests.apt import build_apt, tool
from tests.dnf import build_dnf
from tests.openssl_ca import Authority
from tests.published import BUILT, publish

VDB: Final = b"ClamAV-VDB:07 Jan 2026 04-25 -0500:27873:2076:90:0123456789abcdef0123456789abcdef:sig:raynman:"
METADATA: Final = b"""<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata"
 validUntil="2026-11-15T00:00:00Z">
<Extensions><mdrpi:PublicationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" publisher="https://f.example"
 creationInstant="2026-10-20T06:30:00.5Z"/></Extensions></EntitiesDescriptor>"""


def dated(folder: Path, files: Mapping[str, bytes | str]) -> tuple[str, str]:
    """The date of a bundle of these files, and what says it."""
    content = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    asked = publish(folder / "inbox", content)
    (folder / "out").mkdir()
    version = Folder.open(folder / "inbox" / asked.channel / asked.name / asked.version)
    described = describe(asked, version, folder / "out")[1]
    return described.dated, described.dated_by


@pytest.mark.needs("apt")
def test_apt_says_it_in_each_release(tmp_path: Path) -> None:
    """In UTC, or with any other offset."""
    files = build_apt(tmp_path, "3", None)
    (tmp_path / "b").mkdir()
    assert ("2026-11-01T00:00:00Z", "built") == dated(tmp_path / "b", files)  # at three o'clock: after the build
    release = next(path for path in files if path.endswith("/Release"))
    text = (tmp_path / "apt-3-demo-True" / release).read_text()
    other = text.replace("Sun, 01 Nov 2026 03:00:00 UTC", "Sun, 01 Nov 2026 01:00:00 +0200")
    (tmp_path / "c").mkdir()
    assert ("2026-10-31T23:00:00Z", "apt") == dated(tmp_path / "c", files | {release: other})


@pytest.mark.needs("dnf")
def test_dnf_says_it_in_repomd(tmp_path: Path) -> None:
    """Createrepo_c writes the time as the revision, unless it is told another word for that."""
    written = build_dnf(tmp_path, "1", "--revision", "1790000000")
    assert ("2026-09-21T14:13:20Z", "dnf") == dated(tmp_path, written)


def test_dnf_with_another_word_for_its_revision_is_dated_by_its_metadata(tmp_path: Path) -> None:
    """As ``createrepo_c --revision 9.4`` writes it."""
    stamps = "".join(f"<data><timestamp>{seconds}</timestamp></data>" for seconds in (1780000000, 1790000000))
    repomd = f"<repomd><revision>9.4</revision>{stamps}</repomd>"
    assert ("2026-09-21T14:13:20Z", "dnf") == dated(tmp_path, {"repodata/repomd.xml": repomd})


@pytest.mark.parametrize("last", [b"1767777917", b""])
def test_clamav_says_it_in_the_header(tmp_path: Path, last: bytes) -> None:
    """In seconds, or, where those are missing, by the text."""
    day = "2026-01-07T09:25:17Z" if last else "2026-01-07T09:25:00Z"
    assert (day, "clamav") == dated(tmp_path, {"daily.cvd": (VDB + last).ljust(512) + b"x"})


@pytest.mark.needs("image tools")
def test_an_image_says_it_in_its_configuration(tmp_path: Path) -> None:
    """The newest image of a layout. The year 1970 of a build that can be repeated is no date."""
    layout = tmp_path / "layout"
    tool("umoci", "init", "--layout", layout)
    for tag, at in (("old", "2026-05-01T00:00:00Z"), ("new", "2026-10-05T12:00:00.123456789+02:00"), ("zero", "")):
        tool("umoci", "new", "--image", f"{layout}:{tag}")
        tool("umoci", "config", "--image", f"{layout}:{tag}", "--created", at or "1970-01-01T00:00:00Z")
    files = {str(path.relative_to(layout)): path.read_bytes() for path in layout.rglob("*") if path.is_file()}
    assert ("2026-10-05T10:00:00Z", "oci") == dated(tmp_path, files)


def test_a_crl_says_it_as_this_update(tmp_path: Path) -> None:
    """In PEM and in DER."""
    text = Authority(tmp_path / "ca").crl(1, "20261003081500")
    binary = subprocess.run(["openssl", "crl", "-outform", "der"], input=text, capture_output=True, check=True).stdout
    for name, content in (("a", text), ("b", binary)):
        (tmp_path / name).mkdir()
        assert ("2026-10-03T08:15:00Z", "crl") == dated(tmp_path / name, {"ca.crl": content})


def test_metadata_says_it_as_its_creation_instant(tmp_path: Path) -> None:
    """How long it is valid says nothing of when it was made."""
    assert ("2026-10-20T06:30:00Z", "saml") == dated(tmp_path, {"federation.xml": METADATA})


@pytest.mark.parametrize(
    "files",
    [
        {"Release": "Date: never\n", "a.crl": "-----BEGIN X509 CRL-----\n", "oci-layout": "{}", "index.json": "["},
        {"Release": "Date: Thu, 01 Jan 1970 00:00:00 UTC\n", "repodata/repomd.xml": "<revision>9</revision>"},
        {"daily.cvd": "no header", "x.xml": b'<x creationInstant="2026-10-20T06:30:00Z"/>'},
        {"x.xml": METADATA.replace(b"2026-10-20T06:30:00.5Z", b"2026-99-99T99:99:99.5Z")},
    ],
)
def test_what_says_none_is_dated_by_its_build(tmp_path: Path, files: dict[str, bytes | str]) -> None:
    """Broken files, the year 1970, and what only looks like metadata."""
    assert (BUILT, "built") == dated(tmp_path, files)
