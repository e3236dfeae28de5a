"""A network of its own, in which upstream's host names are this machine: a gateway serves them by TLS at port 443.

Lock files that were made outside name those hosts. The thread that makes the network is the only one that sees it, with
what it starts.
"""

import ctypes
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from diode.layouts.kinds import Kind
from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.freshness import etag_of, is_unchanged
from tests.package_clients import Done
from tests.packages import ask
from tests.patience import PATIENCE_S
from tests.serving import Serving

HOSTS: Final[dict[str, Kind]] = {"pypi.org": "pypi", "files.pythonhosted.org": "pypi", "registry.npmjs.org": "npm"}
_NEW_NETWORK: Final = 0x40000000
_AS_HOSTS: Final = 'mount --bind "$0" /etc/hosts && exec "$@"'

T = TypeVar("T")


def in_a_network_of_its_own(story: Callable[[], T]) -> T:
    """What a story gives that is told in a new network, where only the loopback is."""
    told: list[T] = []
    failed: list[BaseException] = []

    def tell() -> None:
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(_NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "no network of its own can be made")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            told.append(story())
        except BaseException as error:  # noqa: BLE001 - it is raised below
            failed.append(error)

    thread = threading.Thread(target=tell)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return told[0]


@dataclass
class Upstream:
    """Serves upstream's host names from ``serving``, which may be changed while it runs."""

    folder: Path
    serving: Serving

    @property
    def ca(self) -> Path:
        """The file of the CA."""
        return self.folder / "ca.pem"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve, in the network of the calling thread."""
        self.folder.mkdir()
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(HOSTS)}\n")
        _write_certificates(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "host.pem")
        server = ThreadingHTTPServer(("127.0.0.1", 443), self._handler())
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def run(self, *command: str | Path, env: dict[str, str], cwd: Path) -> Done:
        """Run a client that finds upstream's hosts here."""
        words = ["unshare", "--mount", "sh", "-c", _AS_HOSTS, str(self.folder / "hosts"), *map(str, command)]
        return subprocess.run(
            words, env=env, cwd=cwd, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.rfile.read(int(headers.get("content-length", "0")))
                host, (path, _, query) = headers["host"], self.path.partition("?")
                hosts = frozenset(name for name, kind in HOSTS.items() if kind == HOSTS[host])
                answer = ask(
                    upstream.serving, HOSTS[host], path, headers, self.command, host=host, hosts=hosts, query=query
                )
                self._send(answer, headers)

            do_HEAD = do_POST = do_GET  # noqa: N815

            def _send(self, answer: Answer, headers: dict[str, str]) -> None:
                etag = etag_of(answer)
                if answer.status == 200 and is_unchanged(headers, etag):
                    answer = Answer(304)
                body = upstream.content(answer)
                self.send_response(answer.status, answer.reason or None)
                sent = {"Content-Type": answer.media_type, "Cache-Control": "no-cache", **answer.headers}
                for name, value in {**sent, "Content-Length": str(len(body)), "ETag": etag}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

        return Handler

    def content(self, answer: Answer) -> bytes:
        """The bytes of an answer's body."""
        if not isinstance(answer.body, BundleFile):
            return answer.body
        one = answer.body.bundle
        data = self.serving.folder / "inbox" / one.channel / one.name / one.version / "data"
        return (data / answer.body.file.path).read_bytes()


def _write_certificates(folder: Path) -> None:
    """A CA, and one certificate for all of the hosts."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "the site's CA")])
    ca = _signed(ca_name, ca_name, ca_key, ca_key, x509.BasicConstraints(ca=True, path_length=None))
    names = x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    host = _signed(name, ca_name, key, ca_key, names)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
    private = key.private_bytes(pem, pkcs8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(private + host.public_bytes(pem))


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    says: x509.ExtensionType,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(says, critical=False)
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=30))
    return builder.sign(by, hashes.SHA256())
