"""What strangers try: paths, requests that two servers read in two ways, floods, slow readers, hosts, tokens."""

import base64
import itertools
import socket
from collections.abc import Iterator

import pytest

from receiver.gateway.server.access import Access, Token, digest_of
from receiver.gateway.server.app import Gateway
from receiver.gateway.server.routing import Routes
from tests.gateway import raw
from tests.gateway.raw import ask, exchange, parsed
from tests.patience import PATIENCE_S, wait_until
from tests.serving import Serving, listening

SECRET = b"the secret of another channel"
TOKEN = "t" * 24


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Serving:
    """A channel that is served, one that is not, and a secret beside both."""
    found = Serving(tmp_path_factory.mktemp("attacks"), {"tools": ("trees",), "other": ()})
    found.publish("tools", "one", "1", {"a.txt": b"hello", "dir/b.txt": b"b", "big.bin": bytes(8 << 20)})
    found.publish("other", "one", "1", {"secret.txt": SECRET})
    (found.folder / "inbox" / ".diode").mkdir()
    (found.folder / "inbox" / ".diode" / "anchor.json").write_bytes(SECRET)
    (found.folder / "secret.txt").write_bytes(SECRET)
    return found


@pytest.fixture(scope="module")
def port(serving: Serving) -> Iterator[int]:
    """Served by the stubs."""
    with serving.running(raw.mounts()) as base:
        yield int(base.rpartition(":")[2])


UPS = [
    *("..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "..%2f", "..%5c", "..\\", "%c0%ae%c0%ae", "%e0%80%ae%e0%80%ae"),
    *("..;", "..%00", "..%0a", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e", "....", ".", "%2e", "", "%20..", "..%20"),
]
TARGETS = [
    *("secret.txt", "other/one/1/data/secret.txt", ".diode/anchor.json", "etc/passwd", "index/snapshot.db"),
    "other/one/secret.txt",
]


@pytest.mark.parametrize("up", UPS)
def test_no_path_leads_out(port: int, up: str) -> None:
    """In no encoding, at no depth, below no prefix; and nothing makes the server fail."""
    for target, depth in itertools.product(TARGETS, (1, 2, 4)):
        ups = "/".join([up] * depth)
        for path in (f"/trees/{ups}/{target}", f"/trees/tools/one/{ups}/{target}", f"/{ups}/{target}"):
            reply = parsed(exchange(port, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()))
            assert (SECRET in reply.body, b"root:" in reply.body) == (False, False)
            assert reply.status in (400, 404), path


@pytest.mark.parametrize(
    "target",
    [
        *("http://127.0.0.1/trees/tools/one/a.txt", "//127.0.0.1/trees/../secret.txt", "*", "trees/tools/one/a.txt"),
        *("/trees/tools/one/a.txt\x00", "/trees/tools/one/\xffa.txt", "/trees/tools/one/a.txt#x", "/" + "a" * 9000),
        *("/trees/tools/one/%00a.txt", "/trees/tools/one/a.txt%00", "/trees/tools/one/a%0d%0aX: b", "/trees/%ff"),
        "/trees/tools/one/dir%2Fb.txt%2F..%2F..%2Fa.txt",
    ],
)
def test_odd_targets_are_refused(port: int, target: str) -> None:
    """This is no proxy, and a name has no zero bytes."""
    got = exchange(port, f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1"))
    assert parsed(got).status in (400, 404)


def test_doubled_slashes_are_joined(port: int) -> None:
    """As clients make them."""
    assert b"hello" == ask(port, "//trees///tools//one/a.txt").body


REQUEST = "POST /hub/x HTTP/1.1\r\nHost: x\r\n{}\r\n\r\n{}"
HIDDEN = "GET /trees/tools/one/a.txt HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5", f"0\r\n\r\n{HIDDEN}"),
        (f"Content-Length: 0\r\nContent-Length: {len(HIDDEN)}", HIDDEN),
        ("Content-Length: +0", HIDDEN),
        ("Content-Length : 0", HIDDEN),
        ("Transfer-Encoding: xchunked", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding: chunked, identity", f"0\r\n\r\n{HIDDEN}"),
        ("Transfer-Encoding:\x0bchunked", f"0\r\n\r\n{HIDDEN}"),
        ("X: y\nContent-Length: 5\r\nTransfer-Encoding: chunked", f"0\r\n\r\n{HIDDEN}"),
        (" Content-Length: 0", HIDDEN),  # a folded line: it makes a Host of two words
    ],
)
def test_no_request_hides_in_another(port: int, headers: str, body: str) -> None:
    """What two servers may read in two ways is refused, and the connection ends."""
    got = exchange(port, REQUEST.format(headers, body).encode("latin-1"))
    assert 1 == got.count(b"HTTP/1.1 ")
    assert b"hello" not in got
    assert parsed(got).status in (400, 501)


def test_requests_one_behind_the_other_are_answered_in_order(port: int) -> None:
    """On one connection, sent at once: files, refusals, nothing and files again."""
    one = "GET /trees/tools/one/{} HTTP/1.1\r\nHost: x\r\n{}\r\n"
    asked = [("a.txt", ""), ("none", ""), ("a.txt", "Range: bytes=1-1\r\n"), ("a.txt", "Connection: close\r\n")]
    got = exchange(port, "".join(one.format(*each) for each in asked).encode())
    bodies = [answer.partition(b"\r\n\r\n")[2] for answer in got.split(b"HTTP/1.1 ")[1:]]
    assert [b"hello", b"not here\n", b"e", b"hello"] == bodies


def test_an_unread_body_is_no_request(port: int) -> None:
    """A method that is refused before its body was read ends the connection."""
    sent = f"DELETE /trees/tools/one/a.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n{HIDDEN}"
    got = exchange(port, sent.encode())
    assert (1, 405) == (got.count(b"HTTP/1.1 "), parsed(got).status)


def test_floods_are_bounded(port: int) -> None:
    """Many headers, long ones, long bodies and many fields are refused; the next client is served."""
    many = {f"X-{n}": "y" for n in range(200)}
    assert ask(port, "/hub/x", **many).status in (400, 431)
    assert ask(port, "/hub/x", X_Long="y" * 40_000).status in (400, 431)
    assert ask(port, "/hub/x", X_Long="y" * 4_000).status == 200
    endless = b"GET /hub/x HTTP/1.1\r\nHost: x\r\n" + b"X: " + b"y" * (1 << 20)
    assert parsed(exchange(port, endless)).status in (0, 400, 431)
    body = b"POST /hub/x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (2 << 20) + bytes(2 << 20)
    assert parsed(exchange(port, body)).status in (0, 413)
    assert 404 == ask(port, "/hub/x?" + "&".join(f"a{n}=1" for n in range(200))).status
    assert 200 == ask(port, "/hub/x").status


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ("bytes=0-0,2-3", 200, b"hello"),
        ("bytes=" + ",".join(f"{n}-" for n in range(1000)), 200, b"hello"),
        ("bytes=0-0", 206, b"h"),
        ("bytes=-2", 206, b"lo"),
        ("bytes=-99", 206, b"hello"),
        ("bytes=1-99999999999999999", 206, b"ello"),
        ("bytes=5-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=4-1", 200, b"hello"),
        ("bytes=-", 200, b"hello"),
        ("bytes=0x1-", 200, b"hello"),
        ("bytes=99999999999999999999999-", 200, b"hello"),
        ("bytes=\u00b2-", 200, b"hello"),
        ("lines=0-1", 200, b"hello"),
        ("BYTES = 1-2", 206, b"el"),
    ],
)
def test_ranges(port: int, wanted: str, status: int, body: bytes) -> None:
    """One range is followed, several are ignored, nonsense too; none makes an answer longer than the file."""
    reply = ask(port, "/trees/tools/one/a.txt", Range=wanted)
    assert (status, body) == (reply.status, reply.body)
    assert status != 416 or reply.headers["content-range"] == "bytes */5"


@pytest.mark.long
def test_1000_slow_readers_stop_nobody(port: int) -> None:
    """Each asks for 8 MiB and reads nothing. Others are served meanwhile, and afterwards."""
    slow = []
    try:
        for _ in range(1000):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            sock.settimeout(PATIENCE_S)
            sock.connect(("127.0.0.1", port))
            sock.sendall(b"GET /trees/tools/one/big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
            slow.append(sock)
        assert all(sock.recv(15) == b"HTTP/1.1 200 OK" for sock in slow)
        assert b"hello" == ask(port, "/trees/tools/one/a.txt").body
        assert 8 << 20 == len(ask(port, "/trees/tools/one/big.bin").body)
    finally:
        for sock in slow:
            sock.close()
    assert b"hello" == ask(port, "/trees/tools/one/a.txt").body


def test_slow_readers_are_let_go(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes nothing for a time is cut off, so that connections do not run out."""
    monkeypatch.setattr("receiver.gateway.server.connection.STALL_S", 0.2)
    monkeypatch.setattr("receiver.gateway.server.connection.HEAD_S", 0.2)
    gateway = Gateway(serving.folder / "inbox", serving.folder / "index", raw.mounts())
    with listening(gateway) as port, socket.socket() as sock, socket.create_connection(("127.0.0.1", port)) as silent:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(PATIENCE_S)
        silent.settimeout(PATIENCE_S)
        sock.connect(("127.0.0.1", port))
        sock.sendall(b"GET /trees/tools/one/big.bin HTTP/1.1\r\nHost: x\r\n\r\n")
        silent.sendall(b"GET /tr")
        assert _is_cut(silent)
        wait_until(lambda: _is_reset(sock), "the slow reader was cut off")


def test_connections_are_bounded(serving: Serving) -> None:
    """From one address half of them; the others can still come from elsewhere."""
    gateway = Gateway(serving.folder / "inbox", serving.folder / "index", raw.mounts())
    with listening(gateway, most=64) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        try:
            wait_until(lambda: b"" == exchange(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), "refused")
            other = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            assert 200 == parsed(exchange(port, other, source="127.0.0.2")).status
        finally:
            for sock in held:
                sock.close()
        wait_until(lambda: b"" != exchange(port, other), "served again")


def _is_cut(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionError:
        return True


def _is_reset(sock: socket.socket) -> bool:
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\x01"  # no more established


@pytest.fixture(scope="module")
def routed(serving: Serving) -> Iterator[int]:
    """With upstream names, and a token for the channel."""
    routes = Routes(raw.mounts(), "https://gw.example:8443", {"hub.example": "hub", "files.example": "trees"})
    access = Access({"tools": [Token("ci", digest_of(TOKEN)), Token("dev", digest_of("u" * 24))]})
    with serving.running(raw.mounts(), routes=routes, access=access) as base:
        routes.base = "https://gw.example:8443"
        yield int(base.rpartition(":")[2])


def test_no_address_comes_from_host(port: int, routed: int) -> None:
    """A foreign Host changes nothing; a listed one chooses the protocol, and the address is of the configuration."""
    seen = raw.seen(ask(port, "/hub/x", Host="evil.example"))
    assert ("/hub", f"http://127.0.0.1:{port}/hub", "") == (seen["prefix"], seen["base"], seen["host"])
    seen = raw.seen(ask(routed, "/api/models", Host="HUB.example.:1234"))
    assert ["api", "models"] == seen["segments"]
    assert ("", "https://hub.example:8443", "hub.example") == (seen["prefix"], seen["base"], seen["host"])
    assert 404 == ask(routed, "/api/models", Host="hub.example.evil").status
    forwarded = raw.seen(ask(routed, "/hub/x", Host="evil", X_Forwarded_Host="hub.example", Forwarded="host=a"))
    assert "https://gw.example:8443/hub" == forwarded["base"]
    assert 404 == ask(routed, "/hub/x", Host="datasets-server.gw.example").status


def test_two_hosts_are_refused(port: int) -> None:
    """As none is."""
    assert 400 == parsed(exchange(port, b"GET /hub/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")).status
    assert 400 == parsed(exchange(port, b"GET /hub/x HTTP/1.1\r\n\r\n")).status


def test_a_channel_with_tokens_is_closed_to_others(routed: int) -> None:
    """By its prefix and by upstream's name alike; Bearer and Basic with any user name open it."""
    basic = base64.b64encode(f"anybody:{TOKEN}".encode()).decode()
    for target, host in (("/trees/tools/one/a.txt", "gateway"), ("/tools/one/a.txt", "files.example")):
        for given in ("", "Bearer", "Bearer x", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Basic !!!", f"Digest {TOKEN}"):
            refused = ask(routed, target, Host=host, **({"Authorization": given} if given else {}))
            assert (401, True) == (refused.status, refused.headers["www-authenticate"].startswith("Basic realm="))
            assert b"hello" not in refused.body
        for given in (f"Bearer {TOKEN}", f"bearer {'u' * 24}", f"Basic {basic}"):
            assert b"hello" == ask(routed, target, Host=host, Authorization=given).body


def test_images_of_docker_hub_are_not_asked_for_by_a_challenge_on_plain_http(routed: int) -> None:
    """Docker would give a person's login of docker.io to whoever asks so."""
    for target in ("/v2/", "/v2"):
        assert "www-authenticate" not in ask(routed, target).headers
    refused = ask(routed, "/v2/library/one/a.txt")
    assert (404, False) == (refused.status, "www-authenticate" in refused.headers)  # no channel has that name


def test_files_of_the_hub_are_found_at_the_root(port: int) -> None:
    """Where old clients ask for them; nothing else is."""
    assert ["org", "m", "resolve", "main", "f"] == raw.seen(ask(port, "/org/m/resolve/main/f"))["segments"]
    assert ["datasets", "o", "d", "resolve", "main", "f"] == raw.seen(ask(port, "/datasets/o/d/resolve/main/f"))[
        "segments"
    ]
    assert 404 == ask(port, "/org/m/blob/main/f").status
