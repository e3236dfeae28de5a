"""The npm registry: documents, tags, packages, recalls."""

import base64
import hashlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.npm.semver import newest, order_of
from tests.packages import BASE, ask, sha256, source, text_of, tgz
from tests.serving import BUILT, Serving


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """One channel of npm packages."""
    return Serving(tmp_path / "served", {"js": ("npm",)})


def document(serving: Serving, name: str = "acme-lib", **rest: Any) -> dict[str, Any]:
    """The document of a package."""
    answer = ask(serving, "npm", f"/{name}", **rest)
    assert answer.status == 200, text_of(answer)
    read: dict[str, Any] = json.loads(text_of(answer))
    return read


def error_of(answer: Answer) -> tuple[int, str]:
    """Status, and what npm shows."""
    return answer.status, json.loads(text_of(answer))["error"]


def is_file(answer: Answer, content: bytes) -> bool:
    """Whether an answer is a file with this content."""
    return answer.status == 200 and isinstance(answer.body, BundleFile) and answer.body.file.sha256 == sha256(content)


def test_a_document_says_all_that_npm_needs(serving: Serving) -> None:
    """Integrity by SHA-512 alone, a date for every version, an address below the configured one."""
    one = tgz("acme-lib", "1.0.0", dependencies={"other": "^1"}, bin="i.js", scripts={"postinstall": "x"})
    serving.publish("js", "acme", "1", {f"deep/{k}": v for k, v in one.items()})
    found = document(serving)
    version = found["versions"]["1.0.0"]
    (content,) = one.values()
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()
    assert version["dist"] == {"tarball": f"{BASE}/_npm/acme-lib/-/acme-lib-1.0.0.tgz", "integrity": integrity}
    assert (version["bin"], version["hasInstallScript"]) == ({"acme-lib": "i.js"}, True)
    assert found["time"] == {"created": BUILT, "modified": BUILT, "1.0.0": BUILT}
    assert found["dist-tags"] == {"latest": "1.0.0"}
    assert is_file(ask(serving, "npm", "/acme-lib/-/acme-lib-1.0.0.tgz"), content)


def test_scopes_are_understood_in_every_spelling(serving: Serving) -> None:
    """Of the document, of a version, of the package."""
    one = tgz("@acme/scoped", "1.0.0")
    serving.publish("js", "acme", "1", one)
    for name in ("@acme/scoped", "@acme%2fscoped", "@acme%2Fscoped", "%40acme/scoped", "%40acme%2fscoped"):
        assert document(serving, name)["name"] == "@acme/scoped"
        assert json.loads(text_of(ask(serving, "npm", f"/{name}/latest")))["version"] == "1.0.0"
        assert is_file(ask(serving, "npm", f"/{name}/-/scoped-1.0.0.tgz"), *one.values())
    assert ask(serving, "npm", "/@acme").status == 404


def test_the_short_form_has_its_own_type(serving: Serving) -> None:
    """And says that it depends on Accept."""
    serving.publish("js", "acme", "1", tgz("acme-lib", "1.0.0"))
    short = ask(serving, "npm", "/acme-lib", {"accept": "application/vnd.npm.install-v1+json; q=1.0, */*"})
    assert (short.media_type, short.headers["Vary"]) == ("application/vnd.npm.install-v1+json", "Accept")


def test_latest_follows_the_pointer_and_not_the_numbers(serving: Serving) -> None:
    """A promotion of a lower version makes it latest; a rollback, too."""
    serving.publish("js", "acme", "a", tgz("acme-lib", "2.0.0"))
    serving.publish("js", "acme", "b", tgz("acme-lib", "1.5.0"))
    assert document(serving)["dist-tags"] == {"latest": "1.5.0"}
    assert [*document(serving)["versions"]] == ["1.5.0", "2.0.0"]
    serving.roll_back("js", "acme")
    assert document(serving)["dist-tags"] == {"latest": "2.0.0"}
    assert ask(serving, "npm", "/acme-lib/-/acme-lib-1.5.0.tgz").status == 200


def test_what_a_rollback_left_is_deprecated_and_can_be_had(serving: Serving) -> None:
    """No tag means it, also not upstream's; one that never was in use, or was recalled since, is not so."""
    serving.publish("js", "acme", "1", tgz("acme-lib", "1.0.0"))
    said = source("npm", "acme-lib", revision="2.0.0", tags=["next"])
    second = serving.publish("js", "acme", "2", {**tgz("acme-lib", "2.0.0"), **said})
    serving.roll_back("js", "acme")
    serving.publish("js", "acme", "3", tgz("acme-lib", "3.0.0"))
    found = document(serving)
    assert found["dist-tags"] == {"latest": "1.0.0"}
    deprecated = {version: one.get("deprecated") for version, one in found["versions"].items()}
    assert deprecated == {"1.0.0": None, "2.0.0": "Rolled back: another version is in use"}
    assert json.loads(text_of(ask(serving, "npm", "/acme-lib/2.0.0")))["version"] == "2.0.0"
    serving.promote("js", "acme", "2")
    assert "deprecated" not in document(serving)["versions"]["2.0.0"]
    serving.roll_back("js", "acme")
    serving.recall(second, "why")
    assert document(serving)["versions"]["2.0.0"]["deprecated"] == "Recalled 2026-11-28: why"


def test_latest_is_a_release_where_there_is_one(serving: Serving) -> None:
    """The newest of the bundle in use."""
    serving.publish(
        "js", "acme", "1", {k: v for n in ("1.2.0", "1.10.0", "2.0.0-rc.1") for k, v in tgz("acme-lib", n).items()}
    )
    assert document(serving)["dist-tags"] == {"latest": "1.10.0"}


def test_upstreams_tags_are_carried(serving: Serving) -> None:
    """But latest is ours, and a tag is for the package that source.json names."""
    said = source("npm", "acme-lib", revision="2.0.0-rc.1", tags=["next", "latest", "v2"])
    serving.publish("js", "acme-lib", "1", {**tgz("acme-lib", "1.0.0"), **tgz("acme-lib", "2.0.0-rc.1"),
        **tgz("other", "1.0.0"), **said})  # fmt: skip
    assert document(serving)["dist-tags"] == {"latest": "1.0.0", "next": "2.0.0-rc.1"}
    assert document(serving, "other")["dist-tags"] == {"latest": "1.0.0"}
    assert json.loads(text_of(ask(serving, "npm", "/acme-lib/next")))["version"] == "2.0.0-rc.1"
    assert json.loads(text_of(ask(serving, "npm", "/-/package/acme-lib/dist-tags")))["next"] == "2.0.0-rc.1"


def test_a_recalled_version_is_deprecated_and_gone_with_the_reason(serving: Serving) -> None:
    """Latest moves to the one that was in use before; a package of which all is recalled is gone itself."""
    first = serving.publish("js", "acme", "1", tgz("acme-lib", "1.0.0"))
    second = serving.publish("js", "acme", "2", tgz("acme-lib", "2.0.0"))
    serving.recall(second, "leaks secrets")
    why = "Recalled 2026-11-28: leaks secrets"
    found = document(serving)
    assert found["dist-tags"] == {"latest": "1.0.0"}
    assert found["versions"]["2.0.0"]["deprecated"] == why
    assert "deprecated" not in found["versions"]["1.0.0"]
    for path in ("/acme-lib/-/acme-lib-2.0.0.tgz", "/acme-lib/2.0.0"):
        answer = ask(serving, "npm", path)
        assert (error_of(answer), answer.reason) == ((410, why), why)
    assert ask(serving, "npm", "/acme-lib/-/acme-lib-1.0.0.tgz").status == 200
    serving.recall(first, "also bad")
    assert error_of(ask(serving, "npm", "/acme-lib"))[0] == 410


def test_what_another_bundle_holds_too_is_not_recalled(serving: Serving) -> None:
    """It is served for that one."""
    shared = tgz("shared", "1.0.0")
    bundle = serving.publish("js", "acme", "1", {**tgz("acme-lib", "1.0.0"), **shared})
    serving.publish("js", "other", "1", shared)
    serving.recall(bundle, "why")
    assert "deprecated" not in document(serving, "shared")["versions"]["1.0.0"]
    assert is_file(ask(serving, "npm", "/shared/-/shared-1.0.0.tgz"), *shared.values())


def test_of_two_packages_of_one_version_the_first_published_is_served(serving: Serving) -> None:
    """Whichever bundle is in use."""
    first, second = tgz("acme-lib", "1.0.0"), tgz("acme-lib", "1.0.0", content="other")
    serving.publish("js", "acme", "1", first)
    serving.publish("js", "acme", "2", second)
    assert is_file(ask(serving, "npm", "/acme-lib/-/acme-lib-1.0.0.tgz"), *first.values())


def test_names_that_differ_in_case_are_not_mixed(serving: Serving) -> None:
    """They belong to one channel, but a document is of one spelling."""
    serving.publish("js", "acme", "1", {**tgz("JSONStream", "1.0.0"), **tgz("jsonstream", "2.0.0")})
    assert [*document(serving, "JSONStream")["versions"]] == ["1.0.0"]
    assert [*document(serving, "jsonstream")["versions"]] == ["2.0.0"]
    assert ask(serving, "npm", "/JsonStream").status == 404


def test_audits_are_answered(serving: Serving) -> None:
    """With nothing known; else npm fails them."""
    assert text_of(ask(serving, "npm", "/-/npm/v1/security/advisories/bulk", method="POST")) == "{}"
    assert (
        json.loads(text_of(ask(serving, "npm", "/-/npm/v1/security/audits/quick", method="POST")))["advisories"] == {}
    )
    assert text_of(ask(serving, "npm", "/-/ping")) == "{}"
    assert ask(serving, "npm", "/acme-lib", method="PUT").status == 405
    for path in ("/", "/-", "/-/x", "/never", "/acme-lib/-/x.tgz", "/acme-lib/a/b/c"):
        assert ask(serving, "npm", path).status == 404


def test_upstreams_host_gives_upstreams_addresses(serving: Serving) -> None:
    """At the root."""
    serving.publish("js", "acme", "1", tgz("acme-lib", "1.0.0"))
    said = document(serving, host="registry.npmjs.org")["versions"]["1.0.0"]["dist"]["tarball"]
    assert said == "https://registry.npmjs.org/acme-lib/-/acme-lib-1.0.0.tgz"


def test_head_is_answered_like_get(serving: Serving) -> None:
    """On every kind of path."""
    serving.recall(serving.publish("js", "acme", "1", tgz("acme-lib", "1.0.0")), "why")
    serving.publish("js", "acme", "2", tgz("acme-lib", "2.0.0"))
    paths = ("", "/2.0.0", "/1.0.0", "/latest", "/-/acme-lib-1.0.0.tgz", "/-/acme-lib-2.0.0.tgz", "/x")
    for path in paths:
        assert ask(serving, "npm", f"/acme-lib{path}", method="HEAD") == ask(serving, "npm", f"/acme-lib{path}")


def test_versions_are_ordered_as_the_standard_has_it() -> None:
    """Its own example, in any order."""
    ordered = ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0+build.5", "2.0.0"]  # fmt: skip
    mixed = random.Random(5).sample(ordered, len(ordered))
    assert sorted(mixed, key=order_of) == ordered
    assert newest(["2.0.0-rc.1", "1.0.0"]) == "1.0.0"
