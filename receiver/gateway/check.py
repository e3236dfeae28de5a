"""``gateway check``: tries the gateway from outside, as its clients do, with nothing but the standard library.

It asks over the network, by the configured address. So it finds what only shows there: names that lead elsewhere, a
certificate that nobody trusts, a port that a filter closes.
"""

import http.client
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

from diode.config.receiver import ReceiverConfig
from diode.errors import StorageError
from diode.layouts.kinds import Kind
from diode.storage.folder import Folder
from receiver.catalogue.snapshot import Listed, Snapshot
from receiver.gateway.clients.lines import Place
from receiver.gateway.places import Printed, current_of, places, printed
from receiver.gateway.server.counts import CHECK_AGENT, read_counts
from receiver.gateway.server.routing import root_prefix

PATIENCE_S: Final = 10.0
MAX_ADDRESSES: Final = 100
MAX_BODY: Final = 1 << 16
_ADDRESS: Final = re.compile(r"https?://[^\s\"'<>,;)\]}]+")
_GOOD: Final = range(200, 400)


class Finding(NamedTuple):
    """One thing that was tried. ``said``: what came of it, in a sentence."""

    is_good: bool
    what: str
    said: str


@dataclass(frozen=True, slots=True)
class Outside:
    """Asks from outside. ``ca``: a file of CAs to trust beside the system's; ``token``: a client's."""

    ca: Path | None = None
    token: str = ""

    def ask(self, address: str, path: str, what: str) -> Finding:
        """Ask for a path at an address, which has a scheme and a host; redirects are not followed."""
        parts = urlsplit(address)
        try:
            status, reason = self._get(parts.scheme, parts.hostname or "", parts.port, path)
        except ssl.SSLCertVerificationError as error:
            do = "give the CA by --ca, or mend the certificate"
            return Finding(False, what, f"the certificate is not trusted: {error.verify_message}; {do}")
        except (OSError, http.client.HTTPException) as error:
            return Finding(False, what, f"{parts.netloc} cannot be reached: {_why(error)}")
        if status in _GOOD:
            return Finding(True, what, f"{status} for {path}")
        if status == http.client.UNAUTHORIZED:
            return Finding(bool(not self.token), what, f"it asks for a token{'; --token tries one' * (not self.token)}")
        return Finding(False, what, f"{status} {reason} for {path}")

    def _get(self, scheme: str, host: str, port: int | None, path: str) -> tuple[int, str]:
        connection = (
            http.client.HTTPSConnection(host, port, timeout=PATIENCE_S, context=self._trust())
            if scheme == "https"
            else http.client.HTTPConnection(host, port, timeout=PATIENCE_S)
        )
        headers = {"User-Agent": CHECK_AGENT}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read(MAX_BODY)
            return answer.status, answer.reason
        finally:
            connection.close()

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.ca is not None:
            context.load_verify_locations(self.ca)
        return context


def check(config: ReceiverConfig, url: str, outside: Outside) -> Iterator[Finding]:
    """Try everything; each finding comes as it is made."""
    health = outside.ask(url, "/healthz", f"{url}/healthz")
    yield health
    if not health.is_good:
        return
    current = current_of(config, config.gateway.index)
    found = places(config, url, current)
    for kind, of_kind in found.items():
        asked = example(config.gateway.index, kind, current.get(kind, []))
        for place in of_kind:
            yield _of_place(outside, kind, place, asked)
        yield from _of_hosts(outside, kind, url, of_kind[0].hosts, asked)
    yield from _of_lines(outside, printed(found))


def unserved(log: Path, most: int = 20) -> list[tuple[str, str, int]]:
    """(protocol, what, how often): what clients asked for that is not served, the most frequent first."""
    try:
        with Folder.open(log) as folder:
            _, counts = read_counts(folder)
    except OSError:
        return []
    return [(protocol or "none", what, count) for (protocol, what), count in counts.most_common(most)]


def example(index: Path, kind: Kind, current: Iterable[Listed]) -> str:
    """The path of one real request of a protocol, below its prefix; empty: nothing is there to ask for."""
    if kind == "oci":
        return "/"
    if kind == "mcp":
        return "/v0.1/servers?limit=1"
    try:
        with Snapshot(index) as snapshot:
            for one in current:
                claims = [claim for claim in snapshot.card(one.id).claims() if claim.kind == kind]
                file = next(iter(snapshot.card(one.id).files()), None)
                if kind == "trees" and file is not None:
                    return quote(f"/{one.channel}/{one.name}@{one.version}/{file.path}", safe="/@")
                if claims:
                    asked = claims[0].spelling
                    if kind == "hub":  # its normal form begins with models/ or datasets/
                        asked = f"{claims[0].normal.partition('/')[0]}/{asked}"
                    return _PATHS[kind].format(quote(asked, safe="/@"))
    except StorageError:
        return ""
    return ""


_PATHS: Final[Mapping[Kind, str]] = {"hub": "/api/{}", "pypi": "/simple/{}/", "npm": "/{}"}


def _of_place(outside: Outside, kind: Kind, place: Place, asked: str) -> Finding:
    if not asked:
        return Finding(True, f"{kind} at {place.base}", "nothing is in use that could be asked for")
    parts = urlsplit(place.base)
    return outside.ask(place.base, parts.path + asked, f"{kind} at {place.base}")


def _of_hosts(outside: Outside, kind: Kind, url: str, hosts: Iterable[str], asked: str) -> Iterator[Finding]:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    for host in hosts:
        path = root_prefix(kind, "/v2") + asked
        found = outside.ask(f"{parts.scheme}://{host}{port}", path, f"{kind} by the name {host}")
        if not found.is_good and "cannot be reached" in found.said:
            said = f"{found.said}; clients need this name in DNS or in a hosts file, at the gateway's address"
            found = found._replace(said=said)
        yield found
    if kind == "hub":
        yield _viewer(outside, url)


def _viewer(outside: Outside, url: str) -> Finding:
    """Whether a name that ``datasets`` asks fails at once: swallowed, it lets each load wait for 100 s."""
    parts = urlsplit(url)
    address = f"{parts.scheme}://datasets-server.{parts.netloc}"
    begun = time.monotonic()
    outside.ask(address, "/", address)
    if time.monotonic() - begun < PATIENCE_S / 2:
        return Finding(True, address, "it fails at once, as it should")
    return Finding(False, address, "it is swallowed: let the name lead nowhere, or to the gateway")


def _of_lines(outside: Outside, found: Iterable[Printed]) -> Iterator[Finding]:
    """Whether the addresses that ``gateway clients`` prints lead to a gateway: any answer of it will do."""
    seen: dict[str, str] = {}
    for one in found:
        for address in _ADDRESS.findall(one.lines.text):
            seen.setdefault(_without_user(address.rstrip("./")), one.lines.client)
    for address, client in list(seen.items())[:MAX_ADDRESSES]:
        parts = urlsplit(address)
        answer = outside.ask(address, parts.path or "/", f"{address}, of the lines for {client}")
        if re.match(r"4\d\d ", answer.said):  # it holds a word that stands for another, or is a beginning
            answer = Finding(True, answer.what, "a gateway answers there")
        yield answer


def _without_user(address: str) -> str:
    return re.sub(r"//[^/@]*@", "//", address)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
