"""The simple index: pages, files, recalls, and files that several bundles hold."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.freshness import etag_of
from receiver.gateway.pypi.pages import slug
from tests.packages import BASE, ask, sdist, sha256, source, text_of, wheel
from tests.serving import BUILT, Serving

JSON = {"accept": "application/vnd.pypi.simple.v1+json"}
UPSTREAM = frozenset({"pypi.org", "files.pythonhosted.org"})


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """One channel of Python packages."""
    return Serving(tmp_path / "served", {"python": ("pypi",)})


def page(serving: Serving, name: str = "acme-tool", **rest: Any) -> dict[str, Any]:
    """A project's page."""
    answer = ask(serving, "pypi", f"/simple/{name}/", JSON, **rest)
    assert answer.status == 200
    read: dict[str, Any] = json.loads(text_of(answer))
    return read


def files(serving: Serving, name: str = "acme-tool", **rest: Any) -> dict[str, dict[str, Any]]:
    """The files of a project's page, by name."""
    return {file["filename"]: file for file in page(serving, name, **rest)["files"]}


def get(serving: Serving, url: str, **rest: Any) -> Answer:
    """Ask an address of a page."""
    assert url.startswith(f"{BASE}/pypi")
    return ask(serving, "pypi", url.removeprefix(f"{BASE}/pypi"), **rest)


def is_file(answer: Answer, content: bytes) -> bool:
    """Whether an answer is a file with this content."""
    return answer.status == 200 and isinstance(answer.body, BundleFile) and answer.body.file.sha256 == sha256(content)


def test_a_page_says_all_that_clients_need(serving: Serving) -> None:
    """Digest, size, Python, date and metadata of each file; versions; what the address says is there."""
    one, two = wheel("acme-tool", "1.0", needs=("other>=1",)), sdist("acme-tool", "1.0")
    serving.publish("python", "acme", "1", {**{f"deep/{k}": v for k, v in one.items()}, **two})
    found = page(serving)
    assert (found["name"], found["versions"], found["meta"]["api-version"]) == ("acme-tool", ["1.0"], "1.1")
    (name, content), file = *one.items(), found["files"][0]
    assert file["filename"] == name
    assert file["hashes"] == {"sha256": sha256(content)}
    assert (file["size"], file["requires-python"], file["upload-time"]) == (len(content), ">=3.8", BUILT)
    assert file["url"] == f"{BASE}/pypi/files/{sha256(content)}/{name}"
    assert is_file(get(serving, file["url"]), content)
    metadata = get(serving, file["url"] + ".metadata")
    assert "Requires-Dist: other>=1" in text_of(metadata)
    assert sha256(text_of(metadata).encode()) == file["core-metadata"]["sha256"] == etag_of(metadata).strip('"')
    source_archive = found["files"][1]
    assert "core-metadata" not in source_archive
    assert get(serving, source_archive["url"] + ".metadata").status == 404


def test_a_page_is_html_for_who_asks_for_that(serving: Serving) -> None:
    """With the same files; both say that they depend on Accept."""
    serving.publish("python", "acme", "1", wheel("acme-tool", "1.0"))
    for accept in ("", "*/*", "text/html"):
        answer = ask(serving, "pypi", "/simple/acme-tool/", {"accept": accept})
        assert (answer.media_type, answer.headers["Vary"]) == ("text/html; charset=utf-8", "Accept")
        assert 'data-requires-python="&gt;=3.8"' in text_of(answer)
        assert "#sha256=" in text_of(answer)
    assert ask(serving, "pypi", "/simple/acme-tool/", {"accept": "image/png"}).status == 406
    assert ask(serving, "pypi", "/simple/acme-tool/", {"accept": "text/html;q=x"}).status == 406


def test_lists_of_projects_are_the_same_each_time(serving: Serving) -> None:
    """Sorted, in both forms."""
    serving.publish("python", "acme", "1", {k: v for n in ("zeta", "Alpha.X", "mid") for k, v in wheel(n, "1").items()})
    answer = ask(serving, "pypi", "/simple/", JSON)
    assert [one["name"] for one in json.loads(text_of(answer))["projects"]] == ["Alpha.X", "mid", "zeta"]
    assert '<a href="alpha-x/">Alpha.X</a>' in text_of(ask(serving, "pypi", "/simple"))


def test_other_spellings_are_led_to_the_normal_one(serving: Serving) -> None:
    """By an absolute path, with the prefix where there is one."""
    serving.publish("python", "acme", "1", wheel("acme-tool", "1.0"))
    for spelling in ("Acme_Tool", "ACME--tool", "acme.tool"):
        answer = ask(serving, "pypi", f"/simple/{spelling}/")
        assert (answer.status, answer.headers["Location"]) == (307, "/pypi/simple/acme-tool/")
    at_root = ask(serving, "pypi", "/simple/Acme_Tool/", host="pypi.org")
    assert at_root.headers["Location"] == "/simple/acme-tool/"


def test_a_promotion_adds_and_a_rollback_takes_away(serving: Serving) -> None:
    """What was rolled back is in no list, but locks that name it still get it."""
    one, two = wheel("acme-tool", "1.0"), wheel("acme-tool", "2.0")
    serving.publish("python", "acme", "1", one)
    serving.publish("python", "acme", "2", two)
    both = files(serving)
    assert [*both] == [*one, *two]
    serving.roll_back("python", "acme")
    assert [*files(serving)] == [*one]
    (url,) = (both[name]["url"] for name in two)
    assert is_file(get(serving, url), *two.values())


def test_a_recalled_file_is_yanked_and_gone_with_the_reason(serving: Serving) -> None:
    """At its old address, at its new one, and its metadata; the page stays, and others are offered."""
    one, two = wheel("acme-tool", "1.0"), wheel("acme-tool", "2.0")
    serving.publish("python", "acme", "1", one)
    bundle = serving.publish("python", "acme", "2", two)
    (old,) = (files(serving)[name]["url"] for name in two)
    serving.recall(bundle, 'leaks "secrets" & <more>; use 1.0')
    found = files(serving)
    (listed,) = (found[name] for name in two)
    assert listed["yanked"] == 'Recalled 2026-11-28: leaks "secrets" & <more>; use 1.0'
    assert "/files/RECALLED-leaks-secrets-more-use-1.0/" in listed["url"]
    for url in (old, listed["url"], old + ".metadata", listed["url"] + ".metadata"):
        answer = get(serving, url)
        assert (answer.status, answer.reason) == (410, listed["yanked"])
        assert answer.of is not None
        assert answer.of.id == bundle
    assert "yanked" not in found[next(iter(one))]
    in_html = text_of(ask(serving, "pypi", "/simple/acme-tool/"))
    assert 'data-yanked="Recalled 2026-11-28: leaks &quot;secrets&quot; &amp; &lt;more&gt;; use 1.0"' in in_html


def test_when_all_is_recalled_the_page_says_so(serving: Serving) -> None:
    """And is still there."""
    serving.recall(serving.publish("python", "acme", "1", wheel("acme-tool", "1.0")), "why")
    assert [bool(file["yanked"]) for file in files(serving).values()] == [True]


def test_what_another_bundle_holds_too_is_not_recalled(serving: Serving) -> None:
    """It is served for that one, at the same address."""
    shared = wheel("shared", "1.0")
    bundle = serving.publish("python", "acme", "1", {**wheel("acme-tool", "1.0"), **shared})
    serving.publish("python", "other", "1", shared)
    url = next(iter(files(serving, "shared").values()))["url"]
    serving.recall(bundle, "why")
    assert "yanked" not in next(iter(files(serving, "shared").values()))
    answer = get(serving, url)
    assert is_file(answer, *shared.values())
    assert answer.of is not None
    assert answer.of.name == "other"


def test_of_two_files_of_one_name_the_first_published_is_served(serving: Serving) -> None:
    """Whichever bundle is in use; the second cannot be had at all."""
    first, second = wheel("acme-tool", "1.0"), wheel("acme-tool", "1.0", content="V = 'x'\n")
    serving.publish("python", "acme", "1", first)
    serving.publish("python", "acme", "2", second)
    (name, content), (_, other) = *first.items(), *second.items()
    assert files(serving)[name]["hashes"]["sha256"] == sha256(content)
    refused = ask(serving, "pypi", f"/files/{sha256(other)}/{name}")
    assert (refused.status, refused.reason) == (404, "Another file of this name was published first")
    assert is_file(ask(serving, "pypi", f"/files/{sha256(content)}/{name}"), content)


def test_what_was_never_in_use_is_in_no_list(serving: Serving) -> None:
    """But may be had by its digest."""
    serving.publish("python", "acme", "2", wheel("acme-tool", "2.0"))
    late = wheel("acme-tool", "1.0")
    serving.promote("python", "acme", "2")
    serving.publish("python", "acme", "1", late)
    assert [*files(serving)] == [*wheel("acme-tool", "2.0")]
    (name, content) = next(iter(late.items()))
    assert is_file(ask(serving, "pypi", f"/files/{sha256(content)}/{name}"), content)


def test_a_project_that_is_only_waiting_has_no_page(serving: Serving) -> None:
    """Nor has one that was never here."""
    serving.publish("python", "acme", "1", wheel("acme-tool", "1.0"))
    serving.promote("python", "acme", "1")
    serving.publish("python", "acme", "2", wheel("new-one", "1.0"))
    assert ask(serving, "pypi", "/simple/new-one/").status == 404
    assert ask(serving, "pypi", "/simple/never/").status == 404


def test_upstreams_hosts_answer_as_upstream_does(serving: Serving) -> None:
    """Files by BLAKE2b, links to the host of files where that is served; a recall names its reason there, too."""
    one = wheel("acme-tool", "1.0")
    bundle = serving.publish("python", "acme", "1", one)
    (name, content) = next(iter(one.items()))
    digest = hashlib.blake2b(content, digest_size=32).hexdigest()
    path = f"/packages/{digest[:2]}/{digest[2:4]}/{digest[4:]}/{name}"
    assert files(serving, host="pypi.org", hosts=UPSTREAM)[name]["url"] == f"https://files.pythonhosted.org{path}"
    alone = files(serving, host="pypi.org", hosts=frozenset({"pypi.org"}))[name]["url"]
    assert alone == f"https://pypi.org/files/{sha256(content)}/{name}"
    there = {"host": "files.pythonhosted.org", "hosts": UPSTREAM}
    assert is_file(ask(serving, "pypi", path, **there), content)  # type: ignore[arg-type]
    wrong = path.replace(digest[4:], digest[4:-1] + ("0" if digest[-1] != "0" else "1"))
    assert ask(serving, "pypi", wrong, **there).status == 404  # type: ignore[arg-type]
    serving.recall(bundle, "why so")
    url = files(serving, host="pypi.org", hosts=UPSTREAM)[name]["url"]
    assert url == f"https://files.pythonhosted.org{path.replace('/packages/', '/packages/RECALLED-why-so/')}"
    assert ask(serving, "pypi", url.removeprefix("https://files.pythonhosted.org"), **there).status == 410  # type: ignore[arg-type]


def test_dates_are_upstreams_where_the_file_is_upstreams(serving: Serving) -> None:
    """Never later than the bundle was built, and never from a text that lies about the file."""
    one, two, three = (wheel("acme-tool", f"{n}.0") for n in (1, 2, 3))
    said = {
        next(iter(one)): {"uploaded": "2025-01-02T03:04:05Z", "sha256": sha256(*one.values())},
        next(iter(two)): {"uploaded": "2025-01-02T03:04:05Z", "sha256": "0" * 64},
        next(iter(three)): {"uploaded": "2031-01-02T03:04:05Z", "sha256": sha256(*three.values())},
    }
    serving.publish("python", "acme-tool", "1", {**one, **two, **three, **source("pypi", "acme-tool", files=said)})
    assert [file["upload-time"] for file in files(serving).values()] == ["2025-01-02T03:04:05Z", BUILT, BUILT]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_nothing_can_be_uploaded(serving: Serving, method: str) -> None:
    """As twine would try."""
    assert ask(serving, "pypi", "/simple/", method=method).status == 405


@settings(max_examples=50)
@given(reason=st.text(max_size=200))
def test_a_reason_in_an_address_is_harmless(reason: str) -> None:
    """Whatever it is: one bounded folder, with no dots that lead anywhere."""
    made = slug(reason)
    assert made.isascii()
    assert len(made) <= 100
    assert made.replace(".", "-").replace("-", "").isalnum()
    assert ".." not in made


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(separators=st.lists(st.sampled_from(["-", "_", ".", "..", "_.-"]), min_size=2, max_size=2), seed=st.randoms())
def test_every_spelling_is_one_project(serving: Serving, separators: list[str], seed: random.Random) -> None:
    """Whatever its separators and its case."""
    if not serving.listed:
        serving.publish("python", "acme", "1", wheel("acme-tool-kit", "1.0"))
    name = separators[0].join(["acme", "tool"]) + separators[1] + "kit"
    spelt = "".join(seed.choice((c.upper(), c.lower())) for c in name)
    answer = ask(serving, "pypi", f"/simple/{spelt}/")
    assert answer.status == (200 if spelt == "acme-tool-kit" else 307)
    assert answer.headers.get("Location", "/pypi/simple/acme-tool-kit/") == "/pypi/simple/acme-tool-kit/"


PARTS = ("simple", "files", "packages", "aa", "bb", "0" * 64, "0" * 60, "x-1.0.whl", "acme_tool-1.0-py3-none-any.whl",
    "acme-tool-1.0.tar.gz", "RECALLED-x", "acme-tool", "a%2fb", "É")  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(path=st.lists(st.sampled_from(PARTS), max_size=6))
def test_head_is_answered_like_get_and_nothing_raises(serving: Serving, path: list[str]) -> None:
    """For paths put together from what paths are made of."""
    if not serving.listed:
        serving.publish("python", "acme", "1", wheel("acme-tool", "1.0"))
    asked = "/" + "/".join(path)
    assert ask(serving, "pypi", asked, method="HEAD") == ask(serving, "pypi", asked)
