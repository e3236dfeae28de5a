"""What is found in bundles that hold repositories of apt and dnf and databases of ClamAV, and what people are told."""

from pathlib import Path

from receiver.catalogue.card import Card
from receiver.catalogue.tree_facts import AptSuite, ClamDatabase, TreeFacts
from receiver.describe.apt import release_fields
from tests.serving import Serving
from tests.trees import apt_tree, dnf_tree, release, tools


def card(serving: Serving, bundle: str) -> Card:
    """A bundle's card."""
    return Card(serving.folder / "index" / "cards" / f"{bundle}.db")


def facts(folder: Path, files: dict[str, str | bytes]) -> tuple[TreeFacts, list[str]]:
    """What is found among files, and the problems."""
    serving, (bundle,) = tools(folder, ("1", files))
    return TreeFacts.of(card(serving, bundle)), serving.problems


def test_a_suite_is_found_with_its_labels(tmp_path: Path) -> None:
    """And all below dists gets SHA-512, which by-hash asks for."""
    serving, (bundle,) = tools(tmp_path, ("1", {f"debian/{path}": text for path, text in apt_tree("1").items()}))
    (suite,) = TreeFacts.of(card(serving, bundle)).apt
    assert suite == AptSuite(
        folder="debian/dists/stable",
        root="debian/",
        origin="demo",
        label="demo",
        codename="stable",
        components="main",
        date="2026-11-01T00:00:00Z",
        by_hash=True,
        signed="InRelease",
    )
    with_sha512 = [file.path for file in card(serving, bundle).files() if file.sha512]
    assert with_sha512 == ["debian/dists/stable/InRelease", "debian/dists/stable/main/binary-amd64/Packages"]
    assert [one.spelling for one in card(serving, bundle).claims()] == ["tools/demo"]
    assert serving.problems == []


def test_the_small_release_of_a_component_is_no_suite(tmp_path: Path) -> None:
    """Debian has one in each folder of an architecture."""
    files = apt_tree("1") | {"dists/stable/main/binary-amd64/Release": "Archive: stable\n"}
    assert [suite.folder for suite in facts(tmp_path, {**files})[0].apt] == ["dists/stable"]


def test_a_flat_repository_is_found(tmp_path: Path) -> None:
    """Release beside Packages; a Release alone is none."""
    found, _ = facts(tmp_path, {"flat/Release": release(), "flat/Packages.gz": "x", "other/Release": "notes"})
    assert [(suite.folder, suite.root, suite.is_flat) for suite in found.apt] == [("flat", "flat/", True)]


def test_what_makes_updates_fail_is_a_problem(tmp_path: Path) -> None:
    """No by-hash, an end date, no InRelease."""
    text = release(by_hash="no", more="Valid-Until: Sat, 08 Nov 2026 00:00:00 UTC\n")
    _, problems = facts(tmp_path, {"dists/stable/Release": text, "dists/stable/Release.gpg": "x"})
    assert [("by-hash=force" in line, "no InRelease" in line, "2026-11-08" in line) for line in problems] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_metadata_without_digests_is_a_problem(tmp_path: Path) -> None:
    """As createrepo_c --simple-md-filenames writes it."""
    found, problems = facts(tmp_path, {**dnf_tree("1"), "repodata/primary.xml.gz": "x", "repodata/repomd.xml.asc": "y"})
    assert [(one.root, one.plain, one.is_signed) for one in found.dnf] == [("", ["primary.xml.gz"], True)]
    assert len(problems) == 1
    assert "--simple-md-filenames" in problems[0]


def test_databases_are_found_by_their_header(tmp_path: Path) -> None:
    """What only has the name of one is a problem, and so is one without the file that ClamAV 1.5 asks for."""
    header = b"ClamAV-VDB:07 Jan 2026 04-25 -0500:27500:20:90:x:y:z:1".ljust(512)
    found, problems = facts(
        tmp_path, {"daily.cvd": header, "main.cvd": header, "main-27500.cvd.sign": "s", "fake.cvd": "no header"}
    )
    assert found.clamav == [
        ClamDatabase(path="daily.cvd", version=27500),
        ClamDatabase(path="main.cvd", version=27500, has_sign=True),
    ]
    assert [line.split()[0] for line in problems] == ["daily-27500.cvd.sign", "fake.cvd"]


def test_hostile_releases_are_read_as_text() -> None:
    """Fields twice, bytes that are no UTF-8, long lines, and what stands below the signature."""
    content = (
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nLabel: \xff\x1b[2J\r\nLabel: other\nOrigin: " + b"x" * 999
    )
    content += b"\n-----BEGIN PGP SIGNATURE-----\nSuite: below\n"
    fields = release_fields(content)
    assert fields["label"] == "\N{REPLACEMENT CHARACTER}\x1b[2J"
    assert len(fields["origin"]) == 255
    assert "suite" not in fields


def test_plain_files_have_no_facts(tmp_path: Path) -> None:
    """They are served as they are; a name that could be taken for a name and a version is told."""
    assert facts(tmp_path / "a", {"a.txt": "x"}) == (TreeFacts(), [])
    serving, _ = tools(tmp_path / "b", ("1", {"a.txt": "x"}), name="a@b")
    assert "a@b" in serving.problems[0]
