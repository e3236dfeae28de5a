"""The gateway over HTTP: files and ranges, entity tags, HEAD, moving names, health, what is broken."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from diode.storage.folder import Folder
from receiver.gateway.server import newest
from receiver.gateway.server.access import Access, Token, digest_of
from receiver.gateway.server.counts import Counts, read_counts, read_taken
from receiver.gateway.server.journal import Journal
from tests.gateway import raw
from tests.gateway.raw import ask
from tests.serving import Serving

CONTENT = bytes(range(256)) * 16


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    """One channel with one bundle in two versions."""
    found = Serving(tmp_path / "serving", {"tools": ("trees",)})
    found.publish("tools", "one", "1", {"a.bin": CONTENT, "empty": b""})
    return found


@pytest.fixture
def port(serving: Serving) -> Iterator[int]:
    """Served by the stubs."""
    with serving.running(raw.mounts()) as base:
        yield int(base.rpartition(":")[2])


def test_a_file_is_served_whole_and_by_range(port: int) -> None:
    """With its digest as entity tag, no date, and nothing that a proxy may pack."""
    whole = ask(port, "/trees/tools/one@1/a.bin")
    assert (200, CONTENT, str(len(CONTENT))) == (whole.status, whole.body, whole.headers["content-length"])
    assert ("identity", "no-cache") == (whole.headers["content-encoding"], whole.headers["cache-control"])
    assert "last-modified" not in whole.headers
    part = ask(port, "/trees/tools/one@1/a.bin", Range="bytes=7-9")
    assert (206, CONTENT[7:10], f"bytes 7-9/{len(CONTENT)}") == (part.status, part.body, part.headers["content-range"])
    assert whole.headers["etag"] == part.headers["etag"]


def test_what_the_client_has_is_not_sent_again(port: int) -> None:
    """304 by an entity tag, also by a weakened one; the date that a client says is ignored."""
    etag = ask(port, "/trees/tools/one/a.bin").headers["etag"]
    for given in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        assert (304, b"") == ask(port, "/trees/tools/one/a.bin", If_None_Match=given)[::3]
    later = ask(port, "/trees/tools/one/a.bin", If_Modified_Since="Sat, 01 Jan 2050 00:00:00 GMT")
    assert 200 == later.status


def test_if_range_counts_by_strong_tags_alone(port: int) -> None:
    """Another content, a weak tag or a date: the whole file."""
    etag = ask(port, "/trees/tools/one/a.bin").headers["etag"]
    statuses = {
        given: ask(port, "/trees/tools/one/a.bin", Range="bytes=0-1", If_Range=given).status
        for given in (etag, f"W/{etag}", '"other"', "Sat, 01 Jan 2050 00:00:00 GMT")
    }
    assert [206, 200, 200, 200] == list(statuses.values())


def test_an_empty_file_says_its_size_to_whoever_asks_for_a_range(port: int) -> None:
    """As huggingface_hub wants it."""
    empty = ask(port, "/trees/tools/one/empty", Range="bytes=0-0")
    assert (200, "bytes */0", "0") == (empty.status, empty.headers["content-range"], empty.headers["content-length"])


@pytest.mark.parametrize("target", ["/healthz", "/nowhere", "/trees/tools/one/a.bin", "/trees/tools/one/no", "/hub/x"])
@pytest.mark.parametrize("headers", [{}, {"If_None_Match": "*"}, {"Accept": "x"}])
def test_head_is_get_without_its_body(
    port: int, target: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status, reason and every header are the same, for every kind of answer."""
    monkeypatch.setattr(newest, "_age_s", lambda _: 7)  # no second passes between two questions about health
    got, head = ask(port, target, **headers), ask(port, target, "HEAD", **headers)
    assert b"" == head.body
    drop = {"date"}
    assert [got.status, got.reason] == [head.status, head.reason]
    assert {k: v for k, v in got.headers.items() if k not in drop} == {
        k: v for k, v in head.headers.items() if k not in drop
    }


@pytest.mark.parametrize("name", [*raw.ODD, "breaks"])
def test_head_is_get_without_its_body_for_odd_answers(port: int, name: str) -> None:
    """Also for redirects, recalls, empty ones and mistakes of ours; and the length is that of the body."""
    got, head = ask(port, f"/_npm/{name}"), ask(port, f"/_npm/{name}", "HEAD")
    assert (got.status, got.reason, b"") == (head.status, head.reason, head.body)
    assert {**got.headers, "date": ""} == {**head.headers, "date": ""}
    assert 204 == got.status or int(got.headers["content-length"]) == len(got.body)
    assert got.status < 500


def test_a_reason_phrase_is_ours(port: int) -> None:
    """Some clients show nothing else."""
    assert "Recalled 2026-11-28: it is bad" == ask(port, "/_npm/gone").reason


def test_no_text_of_a_bundle_splits_an_answer(port: int) -> None:
    """Line ends in a reason or in a header are not sent."""
    reply = ask(port, "/_npm/split")
    assert (410, "a??Set-Cookie: b") == (reply.status, reply.reason)
    assert not {"set-cookie", "x-evil"} & reply.headers.keys()


def test_pieces_of_a_moving_address_come_from_one_bundle(serving: Serving, port: int) -> None:
    """Who goes on by ranges gets the rest of what the first answer began; who asks for it whole gets the new one."""
    first = ask(port, "/trees/tools/one/a.bin", Range="bytes=0-99")
    serving.publish("tools", "one", "2", {"a.bin": CONTENT[::-1]})
    rest = ask(port, "/trees/tools/one/a.bin", Range="bytes=100-")
    assert CONTENT == first.body + rest.body
    assert CONTENT[::-1] == ask(port, "/trees/tools/one/a.bin").body
    assert CONTENT[::-1][5:] == ask(port, "/trees/tools/one/a.bin", Range="bytes=5-").body


def test_a_new_snapshot_is_taken_at_once(serving: Serving, port: int) -> None:
    """The request after it was put in its place is answered from it."""
    before = json.loads(ask(port, "/healthz").body)
    serving.publish("tools", "two", "1", {"b": b"b"})
    after = json.loads(ask(port, "/healthz").body)
    assert ("serving", "serving", True) == (before["state"], after["state"], before["generation"] < after["generation"])
    assert 200 == ask(port, "/trees/tools/two/b").status


def test_without_a_snapshot_it_says_so(serving: Serving, port: int) -> None:
    """503 where it never had one; where it had, it goes on by that and says that it is stale."""
    ask(port, "/healthz")
    path = serving.folder / "index" / "snapshot.db"
    path.unlink()
    assert "stale" == json.loads(ask(port, "/healthz").body)["state"]
    assert 200 == ask(port, "/trees/tools/one/a.bin").status
    path.write_bytes(b"no index")
    assert 200 == ask(port, "/trees/tools/one/a.bin").status
    with serving.running(raw.mounts()) as base:
        other = int(base.rpartition(":")[2])
        health, asked = ask(other, "/healthz"), ask(other, "/trees/tools/one/a.bin")
    assert (503, "no-snapshot", 503) == (health.status, json.loads(health.body)["state"], asked.status)
    assert b"nothing can be served yet" in asked.body


@pytest.mark.parametrize("change", ["cut", "link", "gone", "folder"])
def test_a_file_that_is_not_as_published_is_not_served(serving: Serving, port: int, change: str) -> None:
    """404 and no byte of it, never 5xx, which apt takes for a passing trouble."""
    path = serving.folder / "inbox/tools/one/1/data/a.bin"
    path.unlink() if change != "cut" else path.write_bytes(CONTENT[:-1])
    if change == "link":
        path.symlink_to(serving.folder / "index" / "snapshot.db")
    elif change == "folder":
        path.mkdir()
    reply = ask(port, "/trees/tools/one/a.bin")
    assert (404, True) == (reply.status, b"as it was published" in reply.body)


def test_protocols_see_neither_tokens_nor_cookies(port: int) -> None:
    """What they do not see they cannot tell anybody."""
    seen = raw.seen(ask(port, "/hub/x?a=1&a=2", Authorization="Bearer secret", Cookie="secret"))
    assert "secret" not in json.dumps(seen)
    assert {"a": "1"} == seen["query"]


def test_the_log_says_who_took_what_and_no_secret(tmp_path: Path, serving: Serving) -> None:
    """One line a request, without queries and Authorization; a name's control characters are written out."""
    folder = tmp_path / "log"
    folder.mkdir()
    counts, token = Counts(folder), "s" * 20
    access = Access({"tools": [Token("ci", digest_of(token))]})
    options = {"journal": Journal(folder), "counts": counts, "access": access}
    with serving.running(raw.mounts(), **options) as base:
        port, bearer = int(base.rpartition(":")[2]), f"Bearer {token}"
        agent = "curl\x1b[31m"
        ask(port, "/trees/tools/one/a.bin?token=hidden", Authorization=bearer, User_Agent=agent)
        ask(port, "/trees/tools/one/a.bin", "HEAD", Authorization=bearer)
        ask(port, "/trees/tools/one/none", Authorization=bearer)
        ask(port, "/trees/tools/one/a.bin")
    text = (folder / "access.jsonl").read_text()
    assert not any(secret in text for secret in ("hidden", token, "Bearer", "\x1b"))
    lines = [json.loads(line) for line in text.splitlines()]
    assert [("GET", 200, len(CONTENT)), ("HEAD", 200, 0), ("GET", 404, 9), ("GET", 401, lines[3]["bytes"])] == [
        (line["method"], line["status"], line["bytes"]) for line in lines
    ]
    (bundle,) = serving.listed
    assert ("tools", "one", "1", bundle, "ci", "127.0.0.1", "trees") == tuple(
        lines[0][key] for key in ("channel", "name", "version", "bundle", "client", "peer", "protocol")
    )
    counts.save()
    with Folder.open(folder) as opened:
        assert {bundle: lines[0]["at"]} == read_taken(opened)
        statuses, unserved = read_counts(opened)
    assert ({"200": 2, "401": 1, "404": 1}, {("trees", "404 /trees/tools/one/none"): 1}) == (statuses, unserved)


def test_a_library_can_talk_to_it(port: int) -> None:
    """With connections that are kept open."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/trees/tools/one/a.bin") as answer:
        assert CONTENT == answer.read()


@pytest.mark.parametrize(("proxies", "peer"), [((), "127.0.0.1"), (("127.0.0.1",), "10.9.9.9")])
def test_only_listed_proxies_say_who_asks(
    tmp_path: Path, serving: Serving, proxies: tuple[str, ...], peer: str
) -> None:
    """Nobody on this host is believed for being here; who took a recalled bundle is read from this."""
    folder = tmp_path / "log"
    folder.mkdir()
    options = {"journal": Journal(folder), "counts": Counts(folder), "proxies": frozenset(proxies)}
    with serving.running(raw.mounts(), **options) as base:
        ask(int(base.rpartition(":")[2]), "/trees/tools/one/a.bin", X_Forwarded_For="10.9.9.9")
    (line,) = map(json.loads, (folder / "access.jsonl").read_text().splitlines())
    assert peer == line["peer"]
