"""What the maker finds in a bundle with images: names, digests, what is missing, and what is no layout."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.layouts.names import normal_form
from diode.layouts.oci_names import name_of
from receiver.catalogue.names import is_listed
from receiver.describe.oci import describe
from receiver.describe.protocols import Described, Made
from tests.clients import run
from tests.images import REF_NAME, WHOLE_NAME, ImageLayout, digest_of, one_image, tar_of
from tests.serving import FolderFiles


def described(folder: Path, files: Mapping[str, bytes | str], name: str = "tool", version: str = "1.0") -> Made:
    """What the maker says of a bundle with these files."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return made_of(folder, name, version)


def made_of(folder: Path, name: str = "tool", version: str = "1.0") -> Made:
    """What the maker says of what lies in a folder."""
    return describe(Described("0" * 16, "images", name, version, "", "", FolderFiles(folder)))


def tags(made: Made) -> dict[str, str]:
    """The names that images have."""
    return {fact.key: fact.value.decode() for fact in made.facts if fact.kind == "oci.tag"}


def keys(made: Made, kind: str) -> set[str]:
    """The keys of one kind of fact."""
    return {fact.key for fact in made.facts if fact.kind == kind}


@pytest.mark.parametrize(
    ("ref", "whole", "tag"),
    [
        ("1", "", "tool:1"),
        ("p:1", "", "p:1"),
        ("docker.io/library/p:1", "", "p:1"),
        ("10.0.0.1:5000/team/p:1", "", "10.0.0.1/team/p:1"),
        ("localhost/p:1", "", "p:1"),
        ("quay.io/team/p:1", "", "quay.io/team/p:1"),
        ("1", "docker.io/library/p:1", "p:1"),
        ("docker.io/library/p:1", "p:1", "p:1"),
        ("", "reg:5000/team/p:2", "reg/team/p:2"),
        ("", "", "tool:1.0"),
    ],
)
def test_names_as_tools_write_them(tmp_path: Path, ref: str, whole: str, tag: str) -> None:
    """A whole name counts first, then a reference with a repository, then the bundle's name with a bare tag."""
    files, digest = one_image(ref, whole)
    made = described(tmp_path, files)
    assert ({tag: digest}, []) == (tags(made), made.problems)
    assert [tag.rpartition(":")[0]] == [claim.normal for claim in made.claims]


@pytest.mark.parametrize(
    ("ref", "whole", "said"),
    [
        ("p:1", "docker.io/library/q:1", ["docker.io/library/q:1", "p:1"]),
        ("2", "docker.io/library/p:1", ["docker.io/library/p:1", "says 2"]),
        ("a/b", "", ["repository a/b", "tag with a slash"]),
        ("P:1", "", ["lower case"]),
    ],
)
def test_a_name_that_can_be_read_in_two_ways_is_refused(tmp_path: Path, ref: str, whole: str, said: list[str]) -> None:
    """With both readings; nothing of the image is served."""
    files, _ = one_image(ref, whole)
    made = described(tmp_path, files)
    assert not made.facts
    assert not made.claims
    (problem,) = made.problems
    assert all(part in problem for part in said), problem


def test_two_images_of_one_name_have_it_not(tmp_path: Path) -> None:
    """Both stay reachable by their digests."""
    layout = ImageLayout()
    first, second = (layout.name(layout.image({"a": text}), "p:1") for text in ("1", "2"))
    made = described(tmp_path, layout.files())
    assert not tags(made)
    assert first in made.problems[0]
    assert second in made.problems[0]
    assert {first, second} == keys(made, "oci.manifest")


def test_an_older_entry_without_a_name_is_had_by_digest(tmp_path: Path) -> None:
    """As skopeo leaves it when a tag is written again."""
    layout = ImageLayout()
    old = layout.name(layout.image({"a": "1"}))
    new = layout.name(layout.image({"a": "2"}), "1")
    made = described(tmp_path, layout.files())
    assert tags(made) == {"tool:1": new}
    assert any(old in problem and "no name" in problem for problem in made.problems)
    assert old in keys(made, "oci.manifest")


@pytest.mark.parametrize("what", ["layers", "config"])
def test_a_missing_blob_is_named(tmp_path: Path, what: str) -> None:
    """And the image is not served: no client could use it."""
    layout = ImageLayout()
    one = layout.image({"a": "1"})
    layout.name(one, "1")
    said = json.loads(layout.blobs[one["digest"]])
    missing = said["config"]["digest"] if what == "config" else said["layers"][0]["digest"]
    del layout.blobs[missing]
    made = described(tmp_path, layout.files())
    assert not made.facts
    assert missing in made.problems[0]


def test_an_index_of_which_one_platform_is_here(tmp_path: Path) -> None:
    """It is served as it is, and nothing is wrong with it."""
    layout = ImageLayout()
    images = [layout.image({"a": each}, architecture=each) for each in ("amd64", "arm64", "ppc64le", "s390x")]
    whole = layout.name(layout.index(*images), "p:1")
    for absent in images[1:]:
        del layout.blobs[absent["digest"]]
    made = described(tmp_path, layout.files())
    assert ({"p:1": whole}, []) == (tags(made), made.problems)
    assert {whole, images[0]["digest"]} == keys(made, "oci.manifest")


def test_an_index_of_which_nothing_is_here(tmp_path: Path) -> None:
    """It is refused."""
    layout = ImageLayout()
    image = layout.image({"a": "1"})
    layout.name(layout.index(image), "p:1")
    del layout.blobs[image["digest"]]
    made = described(tmp_path, layout.files())
    assert not made.facts
    assert "nothing that it lists" in made.problems[0]


def test_a_blob_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    """The signed table knows its digest; so does the size that the manifest says."""
    layout = ImageLayout()
    one = layout.image({"a": "1"})
    layout.name(one, "1")
    config = json.loads(layout.blobs[one["digest"]])["config"]["digest"]
    layout.blobs[config] += b" "
    made = described(tmp_path, layout.files())
    assert not made.facts
    assert "something else than its name says" in made.problems[0]


@pytest.mark.parametrize(
    "index",
    [
        "{",
        "[]",
        '{"manifests": 1}',
        '{"manifests": [1]}',
        '{"manifests": [{"digest": "sha512:00", "mediaType": "a/b", "size": 1}]}',
        '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "mediaType": "a\\nb", "size": 1}]}',
        '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "mediaType": "a/b", "size": -1}]}',
        '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "mediaType": "a/b", "size": 1}]}',
        "[" * 100_000,
    ],
)
def test_an_index_that_is_none_is_a_problem(tmp_path: Path, index: str) -> None:
    """In one line; nothing else happens."""
    made = described(tmp_path, {"oci-layout": "{}", "index.json": index})
    assert not made.facts
    assert len(made.problems) == 1
    assert "\n" not in made.problems[0]


def test_an_index_that_holds_itself_in_turn_ends(tmp_path: Path) -> None:
    """Ten deep is refused; it is not followed for ever."""
    layout = ImageLayout()
    one = layout.image({"a": "1"})
    for _ in range(10):
        one = layout.index(one)
    layout.name(one, "1")
    assert not tags(described(tmp_path, layout.files()))


def test_layouts_in_folders_of_their_own(tmp_path: Path) -> None:
    """Each is read."""
    first, one = one_image("p:1", a="1")
    second, other = one_image("q:1", a="2")
    files = {f"x/{path}": data for path, data in first.items()} | {f"y/z/{path}": data for path, data in second.items()}
    assert {"p:1": one, "q:1": other} == tags(described(tmp_path, files))


def test_what_is_about_an_image(tmp_path: Path) -> None:
    """A referrer is noted under its subject, and takes no part in naming."""
    layout = ImageLayout()
    image = layout.image({"a": "1"})
    subject = {key: image[key] for key in ("mediaType", "digest", "size")}
    about = layout.image({"sbom": "{}"}, subject=subject, artifactType="application/spdx+json")
    layout.name(image)
    layout.name(about)
    made = described(tmp_path, layout.files())
    (fact,) = [fact for fact in made.facts if fact.kind == "oci.referrers"]
    assert fact.key == image["digest"]
    assert [("application/spdx+json", about["digest"])] == [
        (one["artifactType"], one["digest"]) for one in json.loads(fact.value)
    ]
    assert tags(made) == {"tool:1.0": image["digest"]}


def test_archives_are_recognised(tmp_path: Path) -> None:
    """Both kinds, with the command that makes a layout."""
    docker = tar_of({"manifest.json": "[]", "abc.json": "{}"})
    oci = tar_of({"oci-layout": "{}", "index.json": "{}", "manifest.json": "[]"})
    plain = tar_of({"a": "b"})
    made = described(tmp_path, {"d.tar": docker, "o.tar": oci, "p.tar": plain, "n.tar": b"x" * 2000})
    assert not made.facts
    first, second = made.problems
    assert "skopeo copy docker-archive:d.tar" in first
    assert "tar -xf o.tar" in second


def test_an_unpacked_docker_archive_is_recognised(tmp_path: Path) -> None:
    """Also without any archive; a manifest.json of something else is not."""
    files = {"x/manifest.json": '[{"Config": "c.json", "Layers": []}]', "manifest.json": "{}"}
    (problem,) = described(tmp_path, files).problems
    assert "skopeo copy docker-archive:" in problem


def by_hand(folder: Path) -> str:
    """A layout in a folder, by the name that containers' tools have for it."""
    described(folder, one_image("docker.io/library/p:1")[0])
    return f"oci:{folder}:docker.io/library/p:1"


@pytest.mark.needs("image tools")
def test_layouts_of_skopeo_and_umoci(tmp_path: Path) -> None:
    """What they write is understood, whatever they make of the manifest."""
    made = tmp_path / "made"
    assert not run("skopeo", "copy", by_hand(tmp_path / "by-hand"), f"oci:{made}:q:2").returncode
    assert not run("umoci", "new", "--image", f"{made}:3").returncode
    found = made_of(made)
    assert (["q:2", "tool:3"], []) == (sorted(tags(found)), found.problems)
    assert all(digest_of(path.read_bytes()) in keys(found, "oci.blob") for path in (made / "blobs/sha256").iterdir())


@pytest.mark.clients
@pytest.mark.needs("image tools")
def test_layouts_and_archives_of_podman(tmp_path: Path) -> None:
    """Its folders are understood; of its docker archives it is said what to do, and that works."""
    with tempfile.TemporaryDirectory(prefix="p") as short:  # podman takes no long path here
        podman = ["podman", "--root", f"{short}/r", "--runroot", f"{short}/n", "--storage-driver", "vfs"]
        image = run(*podman, "pull", "-q", by_hand(tmp_path / "by-hand")).stdout.strip()
        run(*podman, "tag", image, "quay.io/team/p:4")
        for form, where in (("oci-dir", "x/made"), ("docker-archive", "y/d.tar"), ("oci-archive", "z/o.tar")):
            (tmp_path / where).parent.mkdir()
            done = run(*podman, "save", "-q", "--format", form, "-o", tmp_path / where, "quay.io/team/p:4")
            assert not done.returncode, done.stderr
    assert list(tags(made_of(tmp_path / "x"))) == ["quay.io/team/p:4"]
    for folder in ("y", "z"):
        (problem,) = made_of(tmp_path / folder).problems
        command = problem.partition(": make a layout of it on the sending side: ")[2]
        done = run("sh", "-c", command.replace("REPOSITORY:TAG", "quay.io/team/p:4"), cwd=tmp_path / folder)
        assert not done.returncode, done.stderr
        assert list(tags(made_of(tmp_path / folder / "IMAGE"))) == ["quay.io/team/p:4"]


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5) | st.just("sha256:" + "0" * 64),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["manifests", "digest", "size", "mediaType", "annotations"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.long
@given(_json)
def test_no_index_makes_the_maker_fail(value: Any) -> None:
    """Whatever JSON it is."""
    with tempfile.TemporaryDirectory() as folder:
        assert not described(Path(folder), {"oci-layout": "{}", "index.json": json.dumps(value)}).facts


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_name_is_a_reference_or_refused(ref: str, whole: str) -> None:
    """Whatever the annotations say."""
    try:
        name = name_of({REF_NAME: ref, WHOLE_NAME: whole}, "tool")
    except ValueError:
        return
    assert name is None or normal_form("oci", name.normal) == name.normal


@given(
    st.lists(
        st.sampled_from(
            ["docker.io", "library", "localhost:1", "docker.io:443", "quay.io", "r:5", "p", "index.docker.io"]
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_normal_form_is_its_own(parts: list[str]) -> None:
    """So that gate, ledger and look-up agree."""
    once = normal_form("oci", "/".join(parts))
    assert normal_form("oci", once) == once


@pytest.mark.parametrize(
    ("pattern", "name", "is_there"),
    [
        ("docker.io/library/*", "docker.io/library/p", True),
        ("docker.io/library/*", "quay.io/p", False),
        ("library/*", "team/p", False),
        ("docker.io/*", "team/p", True),
        ("docker.io/*", "quay.io/team/p", False),
        ("quay.io/team/*", "quay.io/team/p", True),
        ("*", "quay.io/team/p", True),
        ("team/*", "docker.io/team/p", True),
        ("docker.io/library/p", "p", True),
    ],
)
def test_patterns_of_one_registry_match_no_other(pattern: str, name: str, is_there: bool) -> None:
    """A channel that has Docker Hub's official images has nobody else's."""
    assert is_there == is_listed([pattern], "oci", normal_form("oci", name))
