"""Images by the OCI distribution specification: tags, digests, shared layers, recalls; without a server."""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from receiver.catalogue.search import SEARCH, SEARCH_FILE, write_search
from receiver.catalogue.snapshot import SNAPSHOT_FILE, Snapshot, Waiting, write_snapshot
from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.oci.answer import answer
from receiver.gateway.request import Request, query_of, segments_of
from receiver.gateway.view import TokenNeededError, View
from tests.images import INDEX, MANIFEST, ImageLayout, one_image
from tests.serving import NOW, Serving


def served(folder: Path) -> Serving:
    """An inbox with a channel of images."""
    return Serving(folder, {"images": ("oci",)})


def ask(serving: Serving, path: str, method: str = "GET", closed: bool = False, **rest: Any) -> Answer:
    """One request below ``/v2``."""
    path, _, query = path.partition("?")
    channels = frozenset(serving.serve)
    with Snapshot(serving.folder / "index") as snapshot:
        view = View(snapshot, "oci", channels, channels if closed else frozenset())
        fields = {"base": "https://gateway/v2", "prefix": "/v2", **rest}
        return answer(Request(method, segments_of(path), query_of(query), **fields), view)


def said(one: Answer) -> Any:
    """The JSON of an answer."""
    assert isinstance(one.body, bytes)
    return json.loads(one.body)


def refused(one: Answer) -> tuple[int, str]:
    """Status and code of an error, which must have a sentence."""
    (error,) = said(one)["errors"]
    assert " " in error["message"]
    return one.status, error["code"]


def image_at(serving: Serving, path: str, **rest: Any) -> tuple[str, str]:
    """Digest and bundle version of what is answered."""
    found = ask(serving, path, **rest)
    assert isinstance(found.body, BundleFile), found.body
    assert found.headers["Docker-Content-Digest"] == f"sha256:{found.body.file.sha256}"
    return found.headers["Docker-Content-Digest"], found.body.bundle.version


def tags(serving: Serving, name: str, query: str = "") -> list[str]:
    """The tags that a list shows."""
    listed: list[str] = said(ask(serving, f"{name}/tags/list{query}"))["tags"]
    return listed


def versions(serving: Serving, *numbers: str, latest: bool = True) -> list[str]:
    """Publish versions of one image ``p``, each with a tag of its own and ``latest``; gives their digests."""
    digests = []
    for number in numbers:
        layout = ImageLayout()
        image = layout.image({"version": number})
        digests.append(layout.name(image, f"docker.io/library/p:{number}"))
        if latest:
            layout.name(image, "docker.io/library/p:latest")
        serving.publish("images", "p", number, layout.files())
    return digests


@pytest.mark.parametrize("name", ["p", "library/p", "docker.io/p", "docker.io/library/p", "P"])
def test_an_image_in_every_spelling(tmp_path: Path, name: str) -> None:
    """By tag and by digest: the stored bytes, with their own type."""
    serving = served(tmp_path)
    (digest,) = versions(serving, "1")
    for reference in ("1", "latest", digest):
        found = ask(serving, f"{name}/manifests/{reference}")
        assert (found.status, found.media_type) == (200, MANIFEST)
        assert (digest, "1") == image_at(serving, f"{name}/manifests/{reference}")
        assert found.is_moving == (reference != digest)


def test_a_repository_of_another_registry(tmp_path: Path) -> None:
    """It is had by its whole name, by its host's name, and by what containerd says that it means; not by less."""
    serving = served(tmp_path)
    files, digest = one_image("quay.io/team/p:1")
    serving.publish("images", "p", "1", files)
    assert image_at(serving, "quay.io/team/p/manifests/1")[0] == digest
    assert image_at(serving, "team/p/manifests/1", host="quay.io")[0] == digest
    assert image_at(serving, "team/p/manifests/1?ns=quay.io")[0] == digest
    assert refused(ask(serving, "team/p/manifests/1")) == (404, "NAME_UNKNOWN")
    assert refused(ask(serving, "team/p/manifests/1?ns=docker.io")) == (404, "NAME_UNKNOWN")


def test_a_tag_follows_the_pointer(tmp_path: Path) -> None:
    """Back and forth; what was rolled back is had by its own version and by digest, and is in no list."""
    serving = served(tmp_path)
    one, two = versions(serving, "1", "2")
    assert image_at(serving, "p/manifests/latest") == (two, "2")
    assert image_at(serving, "p/manifests/1") == (one, "1")
    assert tags(serving, "p") == ["1", "2", "latest"]
    serving.roll_back("images", "p")
    assert image_at(serving, "p/manifests/latest") == (one, "1")
    assert image_at(serving, "p/manifests/2") == (two, "2")
    assert image_at(serving, f"p/manifests/{two}") == (two, "2")
    assert tags(serving, "p") == ["1", "latest"]


def test_a_moving_tag_of_what_was_rolled_back_is_gone(tmp_path: Path) -> None:
    """A tag that only the newer version had is not answered from it after a rollback."""
    serving = served(tmp_path)
    serving.publish("images", "p", "1", one_image("p:1", a="1")[0])
    serving.publish("images", "p", "2", one_image("p:edge", a="2")[0])
    assert image_at(serving, "p/manifests/edge")[1] == "2"
    serving.roll_back("images", "p")
    assert refused(ask(serving, "p/manifests/edge")) == (404, "MANIFEST_UNKNOWN")


def test_a_recalled_version_in_use_is_not_replaced(tmp_path: Path) -> None:
    """Its tags answer with the reason until a person decides; older versions go on being offered."""
    serving = served(tmp_path)
    one, two = versions(serving, "1", "2")
    serving.recall(_bundle(serving, "2"), "CVE-2026-1")
    for reference in ("latest", "2", two):
        found = ask(serving, f"p/manifests/{reference}")
        assert refused(found) == (410, "MANIFEST_UNKNOWN")
        assert found.reason == "Recalled 2026-11-28: CVE-2026-1"
        assert found.reason in said(found)["errors"][0]["message"]
    assert image_at(serving, "p/manifests/1") == (one, "1")
    assert tags(serving, "p") == ["1"]
    serving.roll_back("images", "p")
    assert image_at(serving, "p/manifests/latest") == (one, "1")
    assert refused(ask(serving, "p/manifests/2")) == (410, "MANIFEST_UNKNOWN")


def test_a_recalled_older_version_says_so(tmp_path: Path) -> None:
    """And the version in use is untouched."""
    serving = served(tmp_path)
    one, two = versions(serving, "1", "2")
    serving.recall(_bundle(serving, "1"), "bad")
    assert refused(ask(serving, "p/manifests/1")) == (410, "MANIFEST_UNKNOWN")
    assert refused(ask(serving, f"p/manifests/{one}")) == (410, "MANIFEST_UNKNOWN")
    assert image_at(serving, "p/manifests/latest") == (two, "2")
    assert tags(serving, "p") == ["2", "latest"]


def test_all_of_a_repository_recalled(tmp_path: Path) -> None:
    """Its list of tags says so, too."""
    serving = served(tmp_path)
    versions(serving, "1")
    serving.recall(_bundle(serving, "1"), "bad")
    assert refused(ask(serving, "p/tags/list")) == (410, "NAME_UNKNOWN")


def _bundle(serving: Serving, version: str, name: str = "p") -> str:
    return next(key for key, one in serving.listed.items() if (one.name, one.version) == (name, version))


def shared(serving: Serving) -> tuple[Mapping[str, Any], Mapping[str, Any], str]:
    """Two bundles, ``a`` and ``b``, of which the first layer is the same; gives the manifests, and the bundle ``a``."""
    manifests = []
    for name in ("a", "b"):
        layout = ImageLayout()
        image = layout.image({"base": "same"}, {"own": name})
        layout.name(image, f"{name}:1")
        serving.publish("images", name, "1", layout.files())
        manifests.append({"digest": image["digest"], **json.loads(layout.blobs[image["digest"]])})
    return manifests[0], manifests[1], _bundle(serving, "1", "a")


def test_a_shared_layer_outlives_a_recall(tmp_path: Path) -> None:
    """It is had under both names, from the bundle that may be served; what only the recalled one has, under none."""
    serving = served(tmp_path)
    a, b, bundle = shared(serving)
    serving.recall(bundle, "bad")
    both, own = (layer["digest"] for layer in a["layers"])
    for name in ("a", "b"):
        found = ask(serving, f"{name}/blobs/{both}")
        assert isinstance(found.body, BundleFile)
        assert found.body.bundle.name == "b"
        for digest in (own, a["config"]["digest"]):
            gone = ask(serving, f"{name}/blobs/{digest}")
            assert refused(gone) == (410, "BLOB_UNKNOWN")
            assert gone.reason == "Recalled 2026-11-28: bad"
        assert refused(ask(serving, f"{name}/manifests/{a['digest']}")) == (410, "MANIFEST_UNKNOWN")
    assert ask(serving, f"b/manifests/{b['digest']}").status == 200


@pytest.mark.parametrize("indexed", ["none", "some", "all"])
def test_owners_are_known_by_the_index_and_by_newer_cards(tmp_path: Path, indexed: str) -> None:
    """Whichever of the two knows a bundle; and what an index of an earlier time knows is looked up anew."""
    serving = served(tmp_path)
    (serving.folder / "index" / SEARCH).mkdir()
    layout, _ = one_image("registry/a:1", file="shared")
    first = serving.publish("images", "a", "1", layout)
    write = partial(write_search, serving.folder / "index", serving.folder / "index" / SEARCH / SEARCH_FILE)
    if indexed == "some":
        write()
    other, _ = one_image("registry/b:1", file="shared")
    second = serving.publish("images", "b", "1", other)
    if indexed == "all":
        write()
    blobs = [path.rpartition("/")[2] for path in layout if "/blobs/" in f"/{path}" and path in other]
    serving.recall(first, "bad")
    assert blobs
    for blob in blobs:
        body = ask(serving, f"registry/a/blobs/sha256:{blob}").body
        assert isinstance(body, BundleFile)
        assert second == body.bundle.id
    serving.recall(second, "bad, too")
    assert {410} == {ask(serving, f"registry/a/blobs/sha256:{blob}").status for blob in blobs}


def test_no_name_lends_another_its_content(tmp_path: Path) -> None:
    """A digest that no bundle of a name holds is not served under it."""
    serving = served(tmp_path)
    a, _, _ = shared(serving)
    assert refused(ask(serving, f"b/manifests/{a['digest']}")) == (404, "MANIFEST_UNKNOWN")
    assert refused(ask(serving, f"b/blobs/{a['layers'][1]['digest']}")) == (404, "BLOB_UNKNOWN")


def test_files_beside_a_layout_are_no_blobs(tmp_path: Path) -> None:
    """Only what an image that is served needs can be had."""
    serving = served(tmp_path)
    layout = ImageLayout()
    layout.name(layout.image({"a": "1"}), "p:1")
    files = {**layout.files(), "notes.txt": "secret"}
    stray = layout.blob(b"no image needs this", "text/plain")["digest"]
    serving.publish("images", "p", "1", files | layout.files())
    assert refused(ask(serving, f"p/blobs/{stray}")) == (404, "BLOB_UNKNOWN")


def test_a_partial_index_is_served_as_it_is(tmp_path: Path) -> None:
    """The platform that is there is had; the others are said not to be."""
    serving = served(tmp_path)
    layout = ImageLayout()
    here, absent = (layout.image({"a": each}, architecture=each) for each in ("amd64", "arm64"))
    whole = layout.name(layout.index(here, absent), "p:1")
    del layout.blobs[absent["digest"]]
    serving.publish("images", "p", "1", layout.files())
    assert image_at(serving, "p/manifests/1")[0] == whole
    assert ask(serving, "p/manifests/1").media_type == INDEX
    assert ask(serving, f"p/manifests/{here['digest']}").media_type == MANIFEST
    assert refused(ask(serving, f"p/manifests/{absent['digest']}")) == (404, "MANIFEST_UNKNOWN")


def test_pages_of_tags(tmp_path: Path) -> None:
    """By ``n`` and ``last``, with a link to the next page."""
    serving = served(tmp_path)
    versions(serving, "1", "2", "3")
    assert tags(serving, "p", "?n=2") == ["1", "2"]
    link = ask(serving, "p/tags/list?n=2").headers["Link"]
    assert link == '</v2/p/tags/list?n=2&last=2>; rel="next"'
    assert tags(serving, "p", "?n=2&last=2") == ["3", "latest"]
    assert "Link" not in ask(serving, "p/tags/list?n=2&last=2").headers
    assert tags(serving, "p", "?n=0") == []
    assert refused(ask(serving, "p/tags/list?n=x")) == (400, "PAGINATION_NUMBER_INVALID")


def test_the_catalog(tmp_path: Path) -> None:
    """Every repository, by its normal name."""
    serving = served(tmp_path)
    for ref in ("quay.io/team/p:1", "docker.io/library/q:1", "1"):
        serving.publish("images", "n" + ref[:1], "1", one_image(ref)[0])
    assert said(ask(serving, "_catalog")) == {"repositories": ["n1", "q", "quay.io/team/p"]}


def test_what_is_about_an_image(tmp_path: Path) -> None:
    """Asked for by digest and by type; nothing known is an empty list."""
    serving = served(tmp_path)
    layout = ImageLayout()
    image = layout.image({"a": "1"})
    subject = {key: image[key] for key in ("mediaType", "digest", "size")}
    for kind in ("a/sbom", "a/signature"):
        layout.name(layout.image({"x": kind}, subject=subject, artifactType=kind))
    layout.name(image, "p:1")
    bundle = serving.publish("images", "p", "1", layout.files())
    found = ask(serving, f"p/referrers/{image['digest']}")
    assert found.media_type == INDEX
    assert sorted(one["artifactType"] for one in said(found)["manifests"]) == ["a/sbom", "a/signature"]
    one = ask(serving, f"p/referrers/{image['digest']}?artifactType=a/sbom")
    assert one.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["artifactType"] for entry in said(one)["manifests"]] == ["a/sbom"]
    assert said(ask(serving, f"p/referrers/sha256:{'0' * 64}"))["manifests"] == []
    serving.recall(bundle, "bad")
    assert said(ask(serving, f"p/referrers/{image['digest']}"))["manifests"] == []


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(tmp_path: Path, method: str) -> None:
    """By whatever method, at whatever address."""
    serving = served(tmp_path)
    for path in ("", "p/blobs/uploads/", "p/manifests/1"):
        found = ask(serving, path, method)
        assert refused(found) == (405, "UNSUPPORTED")
        assert found.headers["Allow"] == "GET, HEAD"


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    """Each is refused in the form that clients read."""
    serving = served(tmp_path)
    versions(serving, "1")
    assert refused(ask(serving, "p/other")) == (405, "UNSUPPORTED")
    assert refused(ask(serving, "p/blobs/md5:00")) == (400, "DIGEST_INVALID")
    assert refused(ask(serving, "p/referrers/latest")) == (400, "DIGEST_INVALID")
    assert refused(ask(serving, "p/manifests/9")) == (404, "MANIFEST_UNKNOWN")
    assert refused(ask(serving, "q/tags/list")) == (404, "NAME_UNKNOWN")
    assert said(ask(serving, "")) == {}


def test_what_is_held_is_denied(tmp_path: Path) -> None:
    """With a sentence, under the bundle's name and version."""
    serving = served(tmp_path)
    versions(serving, "1")
    waiting = [Waiting("images", "p", "2"), Waiting("images", "new", "1")]
    write_snapshot(
        serving.folder / "index" / SNAPSHOT_FILE, 99, NOW, serving.listed.values(), serving.names, iter(waiting)
    )
    assert refused(ask(serving, "p/manifests/2")) == (403, "DENIED")
    assert refused(ask(serving, "new/manifests/1")) == (403, "DENIED")
    assert refused(ask(serving, "new/manifests/2")) == (404, "NAME_UNKNOWN")


def test_tokens(tmp_path: Path) -> None:
    """The root asks for one where nothing is open; on plain http, names that may be Docker Hub's are not asked for."""
    serving = served(tmp_path)
    versions(serving, "1")
    for path in ("", "p/manifests/1", "library/p/manifests/1"):
        with pytest.raises(TokenNeededError):
            ask(serving, path, closed=True)
    plain = ask(serving, "library/p/manifests/1", closed=True, base="http://gateway/v2")
    assert refused(plain) == (403, "DENIED")
    assert "WWW-Authenticate" not in plain.headers


def test_another_channel_s_claim_is_not_served(tmp_path: Path) -> None:
    """By tag or by digest, where the name is not the bundle's."""
    serving = Serving(tmp_path, {"images": ("oci",), "other": ("oci",)})
    versions(serving, "1")
    files, digest = one_image("p:99", a="evil")
    bundle = serving.publish("other", "x", "1", files)
    serving.names = [named for named in serving.names if named.bundle != bundle]
    serving.publish("images", "q", "1", one_image("q:1", a="q")[0])
    assert refused(ask(serving, "p/manifests/99")) == (404, "MANIFEST_UNKNOWN")
    assert refused(ask(serving, f"p/manifests/{digest}")) == (404, "MANIFEST_UNKNOWN")


def test_a_version_never_in_use_is_had_by_its_version(tmp_path: Path) -> None:
    """And by digest; no list shows it."""
    serving = served(tmp_path)
    versions(serving, "1")
    serving.promote("images", "p", "1")
    (two,) = versions(serving, "2")
    assert image_at(serving, "p/manifests/2") == (two, "2")
    assert image_at(serving, f"p/manifests/{two}") == (two, "2")
    assert image_at(serving, "p/manifests/latest")[1] == "1"
    assert tags(serving, "p") == ["1", "latest"]


_moves = st.lists(st.sampled_from(["publish", "promote", "back", "recall"]), max_size=8)


@settings(max_examples=15)
@given(_moves, st.randoms(use_true_random=False))
def test_a_digest_is_never_another_s(tmp_path_factory: pytest.TempPathFactory, moves: list[str], random: Any) -> None:
    """Whatever is published, promoted, rolled back, recalled: tags in lists can be had, and nothing recalled can."""
    serving = served(tmp_path_factory.mktemp("any"))
    versions(serving, "1")
    for move in moves:
        known = [one.version for one in serving.listed.values()]
        match move:
            case "publish":
                versions(serving, str(len(known) + 1))
            case "promote":
                serving.promote("images", "p", random.choice(known))
            case "back" if len({one.bundle for one in serving.pointers["images", "p"].deployed}) > 1:
                serving.roll_back("images", "p")
            case "recall":
                serving.recall(_bundle(serving, random.choice(known)), "bad")
    listed = ask(serving, "p/tags/list")
    for tag in said(listed)["tags"] if listed.status == 200 else ():
        found = ask(serving, f"p/manifests/{tag}")
        assert isinstance(found.body, BundleFile)
        assert found.body.bundle.is_servable
    for one in serving.listed.values():
        assert ask(serving, f"p/manifests/{one.version}").status == (200 if one.is_servable else 410)
    current = serving.pointers["images", "p"].current
    assert current is not None
    expected = serving.listed[current.bundle]
    latest = ask(serving, "p/manifests/latest")
    assert latest.of is not None
    assert (latest.of.id, latest.status == 200) == (expected.id, expected.is_servable)
