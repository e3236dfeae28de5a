"""The gateway's pure parts, and its small files: ranges, routes, tokens, peers, log, counts, interfaces."""

import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diode.errors import UsageError
from diode.net.address import Address
from diode.storage.folder import Folder
from receiver.catalogue.snapshot import Listed
from receiver.gateway.server.access import Access, peer_of, presented, read_tokens
from receiver.gateway.server.counts import Counts, read_counts, read_taken
from receiver.gateway.server.interfaces import addresses, refuse_diode
from receiver.gateway.server.journal import Journal, Visit
from receiver.gateway.server.ranges import UnsatisfiableError, span_of
from receiver.gateway.server.routing import Routes
from receiver.gateway.server.series import KEPT_S, Series
from tests.gateway.raw import mounts

BUNDLE = Listed("0123456789abcdef", "tools", "one", "1", 1, "c", "published", "", "")


@given(st.integers(0, 300), st.integers(0, 400), st.integers(0, 400), st.sampled_from(["a-b", "a-", "-b"]))
def test_a_range_is_what_a_slice_is(size: int, a: int, b: int, form: str) -> None:
    """Held against Python's own slices: the bytes are those, or there are none."""
    content = bytes(n % 251 for n in range(size))
    wanted = {"a-b": content[a : b + 1], "a-": content[a:], "-b": content[-b:] if b else b""}[form]
    text = "bytes=" + {"a-b": f"{a}-{b}", "a-": f"{a}-", "-b": f"-{b}"}[form]
    try:
        span = span_of(text, size)
    except UnsatisfiableError:
        assert wanted == b""
        return
    if span is None:
        assert (form, True) == ("a-b", b < a)
        return
    assert wanted == content[span.first : span.first + span.length]
    assert 0 < span.length or size == 0


@given(st.text(max_size=8), st.integers(0, 1000))
def test_no_text_is_a_wrong_range(text: str, size: int) -> None:
    """Whatever is said, what is sent lies within the file."""
    for wanted in (text, f"bytes={text}"):
        try:
            span = span_of(wanted, size)
        except UnsatisfiableError:
            continue
        assert span is None or 0 <= span.first <= span.first + span.length <= size


def test_a_series_is_forgotten() -> None:
    """After some minutes, and when there are too many."""
    now = 0.0
    series = Series(lambda: now, most=2)
    series.note("p", "/a", "1")
    assert ("1", "", "") == (series.began("p", "/a"), series.began("q", "/a"), series.began("p", "/b"))
    now = KEPT_S - 1
    series.note("p", "/a", "1")
    now = KEPT_S + 1
    assert "1" == series.began("p", "/a")
    series.note("p", "/b", "2")
    series.note("p", "/c", "3")
    assert ("", "2", "3") == tuple(series.began("p", f"/{name}") for name in "abc")
    now = 3 * KEPT_S
    assert "" == series.began("p", "/c")


def test_a_port_of_its_own_is_a_root() -> None:
    """But that images are below /v2 everywhere; and an unknown name has the prefixes alone."""
    routes = Routes(mounts(), "https://gw:8443", {"r.example": "oci"}, {5000: "oci", 5001: "hub"})
    found = routes.find("/v2/a/manifests/b", "gw:5000", 5000)
    assert ("/a/manifests/b", "/v2", "https://gw:5000/v2") == (found.rest, found.prefix, found.base)
    found = routes.find("/api/models", "r.example", 5001)
    assert ("/api/models", "", "https://gw:5001", "") == (found.rest, found.prefix, found.base, found.host)
    assert "https://r.example:8443/v2" == routes.find("/v2/", "R.example", 8443).base
    for path, host, port in (("/a", "gw", 5000), ("/hub/x", "r.example", 8443), ("/hubx", "gw", 1), ("/", "gw", 1)):
        with pytest.raises(LookupError):
            routes.find(path, host, port)


def test_tokens_are_read_or_refused(tmp_path: Path) -> None:
    """One in a line, with a name or without; what is too short, or nothing at all, opens no channel by mistake."""
    path = tmp_path / "tokens"
    path.write_text(f"# for CI\nci:{'a' * 20}\n\n{'b' * 20}\n")
    access = Access({"tools": read_tokens(path)})
    assert ("ci", "line 4", "") == tuple(access.client("tools", f"Bearer {c * 20}") for c in "abc")
    assert (frozenset(), frozenset({"tools"})) == (access.closed(f"Bearer {'a' * 20}"), access.closed(""))
    for text in ("", "# none\n", "short\n", f"a b{'c' * 20}\n", f"{'ä' * 20}\n"):
        path.write_text(text)
        with pytest.raises(UsageError):
            read_tokens(path)


@given(st.text(max_size=80))
def test_no_authorization_breaks(text: str) -> None:
    """Whatever is said, it opens nothing."""
    assert isinstance(presented(text), str)
    assert {"tools"} == Access({"tools": []}).closed(text)


def test_only_listed_proxies_are_believed() -> None:
    """And of what they say, the last address that is none of them: what a client wrote before it is not."""
    proxies = frozenset({"10.0.0.1", "10.0.0.2"})
    assert "10.9.9.9" == peer_of("10.9.9.9", ["1.2.3.4"], proxies)
    assert "10.0.0.7" == peer_of("::ffff:10.0.0.1", ["6.6.6.6, 10.0.0.7", "10.0.0.2"], proxies)
    assert "10.0.0.1" == peer_of("10.0.0.1", ["<script>"], proxies)
    assert "10.0.0.1" == peer_of("10.0.0.1", [], proxies)


def visit(at: str = "2026-11-28T12:00:00Z", method: str = "GET", status: int = 200) -> Visit:
    """One visit."""
    return Visit(at, "10.0.0.7", method, "trees", "/trees/a\n", status, 5, "curl", 3, BUNDLE)


def test_the_log_is_turned_and_bounded(tmp_path: Path) -> None:
    """Full files get rising numbers, the oldest go, and no line is lost between."""
    journal = Journal(tmp_path, most_bytes=1000, most_files=3)
    for number in range(60):
        journal.write(visit(at=f"2026-11-28T12:00:{number:02}Z"))
    journal.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert 4 == len(names)
    kept = sorted(json.loads(line)["at"] for name in names for line in (tmp_path / name).read_text().splitlines())
    assert kept == [f"2026-11-28T12:00:{number:02}Z" for number in range(60 - len(kept), 60)]
    assert all(path.stat().st_size < 1500 for path in tmp_path.iterdir())


def test_two_processes_count_together(tmp_path: Path) -> None:
    """Each adds what it saw; the later moment counts; HEAD and 304 take nothing; a damaged file is begun anew."""
    (tmp_path / "taken.json").write_text("{")
    old, new = Counts(tmp_path), Counts(tmp_path)
    old.add(visit(at="2026-11-28T12:00:05Z"))
    new.add(visit(at="2026-11-28T12:00:01Z"))
    new.add(visit(at="2026-11-28T12:00:09Z", method="HEAD"))
    new.add(visit(at="2026-11-28T12:00:09Z", status=304))
    new.add(visit(status=404))
    old.save()
    new.save()
    new.save()
    with Folder.open(tmp_path) as folder:
        assert {BUNDLE.id: "2026-11-28T12:00:05Z"} == read_taken(folder)
        statuses, unserved = read_counts(folder)
    assert {"200": 3, "304": 1, "404": 1} == statuses
    assert {("trees", "404 /trees/a\\x0a"): 1} == unserved


FOUND = {"10.9.0.2": "diode0", "10.9.0.3": "diode0", "192.0.2.5": "eth0", "127.0.0.1": "lo", "2001:db8::5": "eth0"}


@pytest.mark.parametrize(
    ("link", "gateway", "is_refused"),
    [
        ("10.9.0.2:9000", "192.0.2.5:80", False),
        ("10.9.0.2:9000", "[2001:db8::5]:80", False),
        ("10.9.0.2:9000", "127.0.0.1:80", False),
        ("10.9.0.2:9000", "10.9.0.2:80", True),
        ("10.9.0.2:9000", "10.9.0.3:80", True),
        ("10.9.0.2:9000", "[::ffff:10.9.0.2]:80", True),
        ("10.9.0.2:9000", "0.0.0.0:80", True),
        ("10.9.0.2:9000", "[::]:80", True),
        ("0.0.0.0:9000", "192.0.2.5:80", True),
        ("0.0.0.0:9000", "127.0.0.1:80", False),
        ("127.0.0.1:9000", "0.0.0.0:80", False),
        ("10.77.0.1:9000", "192.0.2.5:80", False),  # the diode's interface is down, or on another host
        ("10.77.0.1:9000", "0.0.0.0:80", True),
    ],
)
def test_the_diodes_interface_is_refused(link: str, gateway: str, is_refused: bool) -> None:
    """Also by another address of it, and by a wildcard; loopback is excepted."""
    refuses = pytest.raises(UsageError) if is_refused else nullcontext()
    with refuses:
        refuse_diode(Address.parse(link), Address.parse(gateway), FOUND)


def test_this_hosts_addresses_are_found() -> None:
    """By asking the kernel."""
    assert "lo" == addresses()["127.0.0.1"]
