"""The hub's answers, route by route: what a revision means, and what is refused and how.

No name that moves ever has a file's bytes.
"""

import hashlib
import itertools
import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from receiver.catalogue.snapshot import Snapshot
from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.hub import answer as hub
from receiver.gateway.hub import listing as hub_listing
from receiver.gateway.hub import names as hub_names
from receiver.gateway.request import Request, query_of, segments_of
from receiver.gateway.view import TokenNeededError, View
from tests.serving import Serving

UPSTREAM = "a" * 40
CONFIG = '{"model_type": "bert"}'
READ = ("GET", "HEAD")


def source(
    name: str, revision: str = "", tags: tuple[str, ...] = (), kind: str = "model", **files: Mapping[str, str]
) -> str:
    """A ``source.json``."""
    said: dict[str, Any] = {"format": "diode-source-1", "kind": kind, "name": name, "tags": list(tags), "files": files}
    return json.dumps(said | ({"revision": revision} if revision else {}))


def ask(
    serving: Serving,
    path: str,
    method: str = "GET",
    closed: tuple[str, ...] = (),
    prefix: str = "/hub",
    snapshot: Any = None,
    **rest: Any,
) -> Answer:
    """One request, as the application makes it of a path."""
    raw, _, query = path.partition("?")
    request = Request(
        method, segments_of(raw), query_of(query), prefix=prefix, base="http://gateway.example/hub", **rest
    )
    channels = frozenset(name for name, kinds in serving.serve.items() if "hub" in kinds)
    with snapshot or Snapshot(serving.folder / "index") as opened:
        return hub.answer(request, View(opened, "hub", channels, frozenset(closed)))


def said(answer: Answer) -> Any:
    """The JSON of an answer."""
    assert isinstance(answer.body, bytes)
    return json.loads(answer.body)


def sha(serving: Serving, revision: str = "main", repository: str = "acme/tiny") -> str:
    """What a revision means, as a client is told."""
    answer = ask(serving, f"/api/models/{repository}/revision/{revision}")
    assert answer.status == 200
    return str(said(answer)["sha"])


def place(answer: Answer) -> str:
    """Where an answer redirects to."""
    assert answer.status == 307
    return answer.headers["Location"]


def refused(answer: Answer) -> tuple[int, str]:
    """Status and code of a refusal, which says why."""
    assert answer.headers["X-Error-Message"] == said(answer)["error"] != ""
    assert answer.headers["X-Error-Message"].isascii()
    return answer.status, answer.headers.get("X-Error-Code", "")


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """Two versions of ``acme/tiny``; the second is in use."""
    made = Serving(tmp_path / "served", {"weights": ("hub",), "others": ("hub",), "wheels": ("pypi",)})
    for version in ("1", "2"):
        files = {"config.json": CONFIG, "model.safetensors": version * 5000, "sub/deep/a.txt": "a", "empty.txt": ""}
        made.publish("weights", "acme--tiny", version, files)
    return made


@pytest.mark.parametrize("method", READ)
@pytest.mark.parametrize("revision", ["main", "2", "refs%2Fheads%2Fmain", "refs/heads/main", "refs%2Ftags%2F2"])
def test_a_moving_revision_redirects_to_the_commit(serving: Serving, revision: str, method: str) -> None:
    """With an absolute path that has the prefix in it, no scheme, no host; HEAD and GET alike."""
    answer = ask(serving, f"/acme/tiny/resolve/{revision}/sub/deep/a.txt", method)
    assert place(answer) == f"/hub/acme/tiny/resolve/{sha(serving)}/sub/deep/a.txt"
    assert (answer.body, answer.is_moving) == (b"", True)
    assert answer.of is not None
    assert answer.of.version == "2"


def test_a_redirect_keeps_the_name_and_the_root_of_whoever_asked(serving: Serving) -> None:
    """Whoever comes by the root, as one version of the library does, is led on below the root; in their spelling."""
    answer = ask(serving, "/Acme/TINY/resolve/main/config.json", prefix="")
    assert place(answer) == f"/Acme/TINY/resolve/{sha(serving)}/config.json"


@pytest.mark.parametrize("method", READ)
def test_a_commit_has_the_bytes(serving: Serving, method: str) -> None:
    """With the commit, and the signed digest as entity tag; also once another version is in use."""
    commit = sha(serving, "1")
    answer = ask(serving, f"/acme/tiny/resolve/{commit}/model.safetensors", method)
    assert (answer.status, answer.headers["X-Repo-Commit"], answer.is_moving) == (200, commit, False)
    assert isinstance(answer.body, BundleFile)
    assert answer.body.file.sha256 == hashlib.sha256(b"1" * 5000).hexdigest()


def test_odd_names_of_files_are_led_on_whole(serving: Serving) -> None:
    """Blanks, quotes, percent signs and letters of other scripts are quoted again."""
    serving.publish("weights", "acme--odd", "1", {"config.json": "{}", '.gitattributes "é" %2F #1': "x"})
    answer = ask(serving, "/acme/odd/resolve/main/.gitattributes%20%22%C3%A9%22%20%252F%20%231")
    assert place(answer).isascii()
    again = ask(serving, place(answer).removeprefix("/hub"))
    assert isinstance(again.body, BundleFile)


def test_promotion_and_rollback_move_main_alone(serving: Serving) -> None:
    """Commits stay what they are."""
    one, two = sha(serving, "1"), sha(serving, "2")
    serving.roll_back("weights", "acme--tiny")
    assert (sha(serving), sha(serving, "1"), sha(serving, "2")) == (one, one, two)
    assert isinstance(ask(serving, f"/acme/tiny/resolve/{two}/config.json").body, BundleFile)


def test_a_reader_of_ranges_stays_with_what_it_began(serving: Serving) -> None:
    """A range under ``main`` leads to the version that the reader began with; a fresh request to the one in use."""
    begun = next(one.id for one in serving.listed.values() if one.version == "1")
    path = "/acme/tiny/resolve/main/model.safetensors"
    ranged = ask(serving, path, headers={"range": "bytes=5-"}, began=begun)
    assert sha(serving, "1") in place(ranged)
    assert sha(serving, "2") in place(ask(serving, path, began=begun))
    serving.recall(begun, "it leaks")
    assert refused(ask(serving, path, headers={"range": "bytes=5-"}, began=begun)) == (410, "RevisionNotFound")


@pytest.mark.parametrize("field", ["downloads", "likes", "tags", "private", "gated", "disabled", "createdAt"])
def test_what_old_libraries_need_is_there(serving: Serving, field: str) -> None:
    """A field that is missing makes 0.23 fail."""
    assert field in said(ask(serving, "/api/models/acme/tiny"))


def test_a_model_is_described(serving: Serving) -> None:
    """With all files, and their digests where that is asked for."""
    info = said(ask(serving, "/api/models/acme/tiny?blobs=True"))
    assert [one["rfilename"] for one in info["siblings"]] == [
        *("config.json", "empty.txt", "model.safetensors", "sub/deep/a.txt")
    ]
    assert info["siblings"][2]["lfs"]["sha256"] == hashlib.sha256(b"2" * 5000).hexdigest()
    assert info["lastModified"] == "2026-11-01T00:00:00.000Z"
    assert (info["id"], info["modelId"], info["author"]) == ("acme/tiny", "acme/tiny", "acme")


def test_a_tree_lists_folders(serving: Serving) -> None:
    """One level, with folders, unless all is asked for."""
    flat = said(ask(serving, "/api/models/acme/tiny/tree/main?recursive=False"))
    assert [(one["type"], one["path"]) for one in flat] == [
        *(("file", "config.json"), ("file", "empty.txt"), ("file", "model.safetensors"), ("directory", "sub"))
    ]
    below = said(ask(serving, "/api/models/acme/tiny/tree/main/sub"))
    assert [(one["type"], one["path"]) for one in below] == [("directory", "sub/deep")]
    deep = said(ask(serving, "/api/models/acme/tiny/tree/main?recursive=True&expand=true"))
    assert [one["path"] for one in deep][-3:] == ["sub", "sub/deep", "sub/deep/a.txt"]
    assert deep[0]["lastCommit"]["id"] == sha(serving)
    missing = ask(serving, "/api/models/acme/tiny/tree/main/none")
    assert refused(missing) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == sha(serving)


@pytest.mark.parametrize("is_deep", [True, False])
@pytest.mark.parametrize("page", [1, 2, 3, 7])
def test_pages_of_a_tree_make_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int, is_deep: bool
) -> None:
    """However small the pages, each entry is there once, in order; the next page's address has the commit."""
    serving = Serving(tmp_path / "served", {"weights": ("hub",)})
    paths = ["a-b", "a.c", "a/b", "a/c/d", "a/c/e", "a0", "b/c/d/e", "b/c/f", "config.json"]
    serving.publish("weights", "acme--tiny", "1", dict.fromkeys(paths, "x"))
    start = f"/api/models/acme/tiny/tree/main?recursive={is_deep}"
    whole = said(ask(serving, start))
    monkeypatch.setattr(hub_listing, "PAGE", page)
    found, following = [], start
    while following:
        answer = ask(serving, following)
        found += said(answer)
        link = answer.headers.get("Link", "")
        following = link.partition(">")[0].removeprefix("<http://gateway.example/hub") if link else ""
        assert not following or f"/tree/{sha(serving)}?" in following
    assert found == whole
    folders = {"a", "a/c", "b", "b/c", "b/c/d"} if is_deep else {"a", "b"}
    files = set(paths) if is_deep else {path for path in paths if "/" not in path}
    assert {one["path"] for one in whole} == folders | files


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            urlencode([("paths", "config.json"), ("paths", "sub"), ("paths", "none"), ("expand", "True")]).encode(),
            "form",
        ),
        (json.dumps({"paths": ["config.json", "sub", "none"], "expand": True}).encode(), "json"),
    ],
)
def test_paths_are_told_of(serving: Serving, body: bytes, kind: str) -> None:
    """Whether they are posted as a form or as JSON."""
    headers = {"content-type": "application/x-www-form-urlencoded" if kind == "form" else "application/json"}
    answer = ask(serving, "/api/models/acme/tiny/paths-info/main", "POST", body=body, headers=headers)
    assert [(one["type"], one["path"], one["lastCommit"]["id"]) for one in said(answer)] == [
        *(("file", "config.json", sha(serving)), ("directory", "sub", sha(serving)))
    ]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"paths": 3}', b'{"paths": [3]}', json.dumps({"paths": ["x"] * 10_001}).encode()]
)
def test_paths_that_cannot_be_read_are_refused(serving: Serving, body: bytes) -> None:
    """With 400, and what was expected."""
    assert ask(serving, "/api/models/acme/tiny/paths-info/main", "POST", body=body).status == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/models/acme/tiny", "/acme/tiny/resolve/main/config.json", "/api/repos/create"])
def test_nothing_can_be_written(serving: Serving, method: str, path: str) -> None:
    """With 405, and what may be done."""
    answer = ask(serving, path, method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")


def test_refs_and_commits_show_what_is_offered(serving: Serving) -> None:
    """``main``, a tag for each version that lists show; commits newest first."""
    refs = said(ask(serving, "/api/models/acme/tiny/refs"))
    assert {one["name"]: one["targetCommit"] for one in refs["branches"]} == {"main": sha(serving, "2")}
    assert {one["name"] for one in refs["tags"]} == {"1", "2"}
    commits = said(ask(serving, "/api/models/acme/tiny/commits/main"))
    assert [one["id"] for one in commits] == [sha(serving, "2"), sha(serving, "1")]
    serving.roll_back("weights", "acme--tiny")
    assert [one["name"] for one in said(ask(serving, "/api/models/acme/tiny/refs"))["tags"]] == ["1"]


def test_upstreams_commit_and_tags_are_addresses_too(serving: Serving) -> None:
    """The commit is what clients are told, and both commits have the bytes; a tag redirects."""
    files = {"config.json": CONFIG, "source.json": source("acme/tiny", UPSTREAM, ("stable", "v3/rc"))}
    bundle = serving.publish("weights", "acme--tiny", "3", files)
    own = serving.listed[bundle].content[:40]
    assert (sha(serving), sha(serving, UPSTREAM), sha(serving, own)) == (UPSTREAM, UPSTREAM, own)
    for commit in (UPSTREAM, own):
        answer = ask(serving, f"/acme/tiny/resolve/{commit}/config.json")
        assert answer.headers["X-Repo-Commit"] == commit
        assert isinstance(answer.body, BundleFile)
    for tag in ("stable", "v3%2Frc", "refs%2Ftags%2Fstable"):
        assert UPSTREAM in place(ask(serving, f"/acme/tiny/resolve/{tag}/config.json"))
    assert {one["name"] for one in said(ask(serving, "/api/models/acme/tiny/refs"))["tags"]} >= {"stable", "v3/rc"}


def test_a_version_that_is_a_commit_is_upstreams(serving: Serving) -> None:
    """So a snapshot of a cache is called when it is packed, with ``models--`` before its name."""
    serving.publish("weights", "models--acme--packed", UPSTREAM, {"config.json": CONFIG})
    assert sha(serving, repository="acme/packed") == UPSTREAM
    assert isinstance(ask(serving, f"/acme/packed/resolve/{UPSTREAM}/config.json").body, BundleFile)


def test_a_commit_that_two_bundles_claim_is_that_of_the_first(serving: Serving) -> None:
    """The address keeps its bytes; the second one has its own commit alone. With the same content both have it."""
    first = serving.publish("weights", "acme--twice", "1", {"source.json": source("acme/twice", UPSTREAM), "a": "1"})
    same = {"source.json": source("acme/twice", UPSTREAM), "a": "1"}
    again = serving.publish("weights", "acme--twice", "2", same)
    other = serving.publish("weights", "acme--twice", "3", same | {"a": "3"})
    assert sha(serving, repository="acme/twice") == serving.listed[other].content[:40]
    assert sha(serving, "1", "acme/twice") == sha(serving, "2", "acme/twice") == UPSTREAM
    path = f"/acme/twice/resolve/{UPSTREAM}/a"
    serving.recall(first, "withdrawn")
    answer = ask(serving, path)
    assert answer.of is not None
    assert answer.of.id == again
    serving.recall(again, "withdrawn as well")
    assert refused(ask(serving, path)) == (410, "RevisionNotFound")


def test_source_json_is_not_listed_and_can_be_had(serving: Serving) -> None:
    """Upstream's lists do not have it, so that digests of the whole agree with theirs."""
    serving.publish("weights", "acme--told", "1", {"a.txt": "a", "source.json": source("acme/told", UPSTREAM)})
    assert [one["rfilename"] for one in said(ask(serving, "/api/models/acme/told"))["siblings"]] == ["a.txt"]
    assert [one["path"] for one in said(ask(serving, "/api/models/acme/told/tree/main"))] == ["a.txt"]
    assert isinstance(ask(serving, f"/acme/told/resolve/{UPSTREAM}/source.json").body, BundleFile)


ROUTES = (
    "/api/models/acme/tiny/revision/{}",
    "/api/models/acme/tiny/tree/{}?recursive=true",
    "/api/models/acme/tiny/commits/{}",
    "/acme/tiny/resolve/{}/config.json",
    "/acme/tiny/resolve/{}/none.json",
)


@pytest.mark.parametrize("route", ROUTES)
def test_a_recall_is_loud_on_every_route(serving: Serving, route: str) -> None:
    """By main, version and commit, with the reason as message and as phrase; nothing falls back to the older one."""
    serving.publish("weights", "acme--tiny", "3", {"a": "3", "source.json": source("acme/tiny", UPSTREAM, ("stable",))})
    bundle = next(one for one in serving.listed.values() if one.version == "3")
    serving.recall(bundle.id, "it leaks sécrets\r\nX-Evil: yes")
    for revision in ("main", "3", "stable", UPSTREAM, bundle.content[:40], "refs%2Fheads%2Fmain"):
        answer = ask(serving, route.format(revision))
        assert refused(answer) == (410, "RevisionNotFound")
        assert answer.reason == answer.headers["X-Error-Message"]
        assert answer.reason == "Recalled 2026-11-28: it leaks s?crets??X-Evil: yes"
    assert ask(serving, "/api/models/acme/tiny").status == 410
    for revision in ("1", "2", sha(serving, "1")):
        assert ask(serving, ROUTES[0].format(revision)).status == 200


def test_a_recall_of_an_older_version_touches_that_alone(serving: Serving) -> None:
    """``main`` goes on; lists leave it out."""
    old = sha(serving, "1")
    serving.recall(next(one.id for one in serving.listed.values() if one.version == "1"), "old and bad")
    assert ask(serving, f"/acme/tiny/resolve/{old}/config.json").status == 410
    assert ask(serving, "/acme/tiny/resolve/main/config.json").status == 307
    refs = said(ask(serving, "/api/models/acme/tiny/refs"))
    assert [one["name"] for one in refs["tags"]] == ["2"]
    assert len(said(ask(serving, "/api/models/acme/tiny/commits/main"))) == 1


def test_lists_go_on_offering_older_ones_when_the_current_is_recalled(serving: Serving) -> None:
    """Without a branch, and when nothing is left, loudly."""
    for version, tags in (("2", ["1"]), ("1", None)):
        serving.recall(next(one.id for one in serving.listed.values() if one.version == version), "bad")
        answer = ask(serving, "/api/models/acme/tiny/refs")
        if tags is None:
            assert refused(answer) == (410, "RevisionNotFound")
        else:
            assert said(answer)["branches"] == []
            assert [one["name"] for one in said(answer)["tags"]] == tags
    assert said(ask(serving, "/api/models")) == []


def test_what_a_recalled_version_shares_is_served_for_the_other(serving: Serving) -> None:
    """A file is refused under the recalled revision only."""
    serving.recall(next(one.id for one in serving.listed.values() if one.version == "1"), "bad")
    assert isinstance(ask(serving, f"/acme/tiny/resolve/{sha(serving)}/config.json").body, BundleFile)


def test_a_removed_version_says_so(serving: Serving) -> None:
    """Gc is no recall: 404, and a sentence."""
    one = next(one for one in serving.listed.values() if one.version == "1")
    serving.listed[one.id] = one._replace(state="removed")
    serving.recall(next(each.id for each in serving.listed.values() if each.version == "2"), "bad")
    for revision in ("1", one.content[:40]):
        answer = ask(serving, f"/acme/tiny/resolve/{revision}/config.json")
        assert refused(answer) == (404, "RevisionNotFound")
        assert "removed here" in said(answer)["error"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/models/acme/none", "RepoNotFound"),
        ("/api/datasets/acme/tiny", "RepoNotFound"),
        ("/api/spaces/acme/tiny", "RepoNotFound"),
        ("/acme/none/resolve/main/config.json", "RepoNotFound"),
        ("/api/models/acme/tiny/revision/none", "RevisionNotFound"),
        ("/api/models/acme/tiny/revision/refs%2Fpr%2F1", "RevisionNotFound"),
        ("/api/models/acme/tiny/revision/refs/convert/parquet", "RevisionNotFound"),
        (f"/acme/tiny/resolve/{'0' * 40}/config.json", "RevisionNotFound"),
        ("/acme/tiny/resolve/main/none.json", "EntryNotFound"),
        ("/acme/tiny/resolve/main/sub", "EntryNotFound"),
        ("/acme/tiny/resolve/main", ""),
        ("/", ""),
        ("/api", ""),
        ("/api/models/acme/tiny/xet-read-token/main", ""),
    ],
)
def test_what_is_not_there_is_said_in_the_hubs_words(serving: Serving, path: str, expected: str) -> None:
    """By the code that clients decide by."""
    assert refused(ask(serving, path)) == (404, expected)


def test_a_bundle_that_was_never_in_use_is_in_no_list(serving: Serving) -> None:
    """It can be had by its version and commit, and its tags mean nothing."""
    early = serving.publish("weights", "acme--late", "2", {"a": "2"})
    serving.promote("weights", "acme--late", "2")
    late = serving.publish("weights", "acme--late", "3", {"a": "3", "source.json": source("acme/late", "", ("beta",))})
    assert isinstance(ask(serving, f"/acme/late/resolve/{serving.listed[late].content[:40]}/a").body, BundleFile)
    assert serving.listed[late].content[:40] in place(ask(serving, "/acme/late/resolve/3/a"))
    assert refused(ask(serving, "/acme/late/resolve/beta/a")) == (404, "RevisionNotFound")
    assert [one["name"] for one in said(ask(serving, "/api/models/acme/late/refs"))["tags"]] == ["2"]
    assert sha(serving, repository="acme/late") == serving.listed[early].content[:40]


def test_a_card_that_is_gone_is_said_without_names_of_files(serving: Serving) -> None:
    """404, in the hub's words."""
    for card in (serving.folder / "index" / "cards").iterdir():
        card.unlink()
    for path in ("/acme/tiny/resolve/main/config.json", "/api/models/acme/tiny"):
        answer = ask(serving, path)
        assert refused(answer) == (404, "RevisionNotFound")
        assert ".db" not in said(answer)["error"]


def test_data_sets_are_answered_alike(serving: Serving) -> None:
    """Below ``datasets``, and not among the models."""
    serving.publish("weights", "acme--rows", "1", {"data/train-00000.parquet": "x", "README.md": "# rows"})
    assert said(ask(serving, "/api/datasets/acme/rows"))["id"] == "acme/rows"
    answer = ask(serving, "/datasets/acme/rows/resolve/main/README.md")
    assert place(answer).startswith("/hub/datasets/acme/rows/resolve/")
    assert isinstance(ask(serving, place(answer).removeprefix("/hub")).body, BundleFile)
    assert [one["id"] for one in said(ask(serving, "/api/datasets"))] == ["acme/rows"]
    assert refused(ask(serving, "/api/models/acme/rows")) == (404, "RepoNotFound")


def test_a_name_without_an_organisation_is_one_too(serving: Serving) -> None:
    """As ``gpt2`` is upstream."""
    serving.publish("weights", "tiny2", "1", {"config.json": CONFIG})
    assert said(ask(serving, "/api/models/tiny2"))["id"] == "tiny2"
    for rest in ("revision/main", "tree/main", "commits/main", "refs"):
        assert ask(serving, f"/api/models/tiny2/{rest}").status == 200
    commit = sha(serving, repository="tiny2")
    assert place(ask(serving, "/tiny2/resolve/main/config.json")) == f"/hub/tiny2/resolve/{commit}/config.json"


def test_one_bundle_name_holds_a_repository(serving: Serving) -> None:
    """Two bundles' names can mean one repository: the first that was published keeps it; nothing is mixed."""
    serving.publish("weights", "models--acme--tiny", "9", {"a": "9"})
    assert sha(serving) == sha(serving, "2")
    assert refused(ask(serving, "/api/models/acme/tiny/revision/9")) == (404, "RevisionNotFound")


def test_models_can_be_listed_and_searched(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a part of the name and by author, in pages."""
    for name in ("acme--big", "Other--Model", "solo"):
        serving.publish("weights", name, "1", {"config.json": CONFIG})

    def names(query: str) -> list[str]:
        return [one["id"] for one in said(ask(serving, f"/api/models{query}"))]

    assert names("") == ["acme/big", "acme/tiny", "Other/Model", "solo"]
    assert names("?search=TIN") == ["acme/tiny"]
    assert names("?author=other") == ["Other/Model"]
    assert names("?limit=1") == ["acme/big"]
    monkeypatch.setattr(hub_names, "PAGE", 3)
    link = ask(serving, "/api/models").headers["Link"]
    following = link.partition(">")[0].removeprefix("<http://gateway.example/hub")
    assert [one["id"] for one in said(ask(serving, following))] == ["solo"]


def test_a_closed_channel_asks_for_a_token(serving: Serving) -> None:
    """Whatever is asked of it; its names are in no list."""
    for path in ("/api/models/acme/tiny", "/acme/tiny/resolve/main/config.json"):
        with pytest.raises(TokenNeededError):
            ask(serving, path, closed=("weights",))
    assert said(ask(serving, "/api/models", closed=("weights",))) == []


def test_who_asks_is_nobody_in_particular(serving: Serving) -> None:
    """A token belongs to a channel: there are no accounts."""
    assert ask(serving, "/api/whoami-v2").status == 401
    assert said(ask(serving, "/api/whoami-v2", headers={"authorization": "Bearer x"}))["type"] == "user"


def test_head_is_answered_as_get_and_no_moving_name_has_bytes(serving: Serving) -> None:
    """Every route with every revision, in every state: equal answers; a file's bytes under a commit alone."""
    serving.publish("weights", "acme--tiny", "3", {"a": "3", "source.json": source("acme/tiny", UPSTREAM, ("stable",))})
    commits = [one.content[:40] for one in serving.listed.values()] + [UPSTREAM, "f" * 40]
    names = [
        "main",
        "1",
        "2",
        "3",
        "stable",
        "none",
        "refs%2Fheads%2Fmain",
        "refs/tags/1",
        "refs/pr/1",
        "HEAD",
        "a" * 39,
    ]
    paths = ["config.json", "a", "source.json", "none", "sub", "sub/deep/a.txt", "empty.txt"]

    def check() -> None:
        opened = nullcontext(Snapshot(serving.folder / "index"))
        for revision, path in itertools.product([*names, *commits], paths):
            address = f"/acme/tiny/resolve/{revision}/{path}"
            get, head = (ask(serving, address, method, snapshot=opened) for method in READ)
            assert get == head
            assert get.status in (200, 307, 404, 410)
            assert (get.status == 200) <= (revision in commits)
            assert (get.status == 307) <= (revision in names)
            assert get.status == 200 or "json" in get.media_type or get.body == b""
        for route, revision in itertools.product(ROUTES, [*names, *commits]):
            get, head = (ask(serving, route.format(revision), method, snapshot=opened) for method in READ)
            assert get == head

    check()
    serving.roll_back("weights", "acme--tiny")
    serving.recall(next(one.id for one in serving.listed.values() if one.version == "2"), "bad")
    check()
