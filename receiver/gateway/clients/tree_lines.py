"""The lines of one tree for apt, dnf and freshclam, by what its card says.

What a stranger wrote is checked or left out. A word in capitals stands for what is not known here.
"""

import re
from dataclasses import dataclass
from typing import Final

from receiver.catalogue.tree_facts import AptSuite, ClamDatabase, DnfRepository
from receiver.gateway.clients.lines import Place
from receiver.gateway.trees.address import path_of

USER: Final = "diode"  # any name does: the token alone counts
_WORDS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9./+_-]*(?: [A-Za-z0-9][A-Za-z0-9./+_-]*)*")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_.-]")
UNKNOWN_SUITE: Final = AptSuite(
    folder="dists/SUITE", root="", components="COMPONENT", signed="InRelease", valid_until="?"
)


@dataclass(frozen=True, slots=True)
class TreeAt:
    """One tree at a place. ``version``: empty: the one in use, whichever that is."""

    place: Place
    channel: str
    name: str
    version: str = ""

    def url(self, path: str = "") -> str:
        """The address of one of its folders or files."""
        tail = f"{self.name}@{self.version}" if self.version else self.name
        return path_of(self.place.base, self.channel, tail, path.rstrip("/"))

    @property
    def id(self) -> str:
        """A word for files and sections that are about it."""
        return _UNSAFE.sub("_", f"{self.channel}-{self.name}")


def sources_line(at: TreeAt, suite: AptSuite) -> str:
    """The line of sources.list for one suite."""
    options = [f"signed-by=/etc/apt/keyrings/{at.id}.gpg" if suite.signed else "trusted=yes"]
    options += [] if suite.by_hash else ["by-hash=force"]
    options += ["check-valid-until=no"] if suite.valid_until else []
    if suite.is_flat:
        return f"deb [{' '.join(options)}] {at.url(suite.root)}/ ./"
    named = suite.folder.removeprefix(f"{suite.root}dists/")
    words = f"{_words(named, 'SUITE')} {_words(suite.components, 'COMPONENT')}"
    return f"deb [{' '.join(options)}] {at.url(suite.root)} {words}"


def _words(said: str, otherwise: str) -> str:
    return said if _WORDS.fullmatch(said) else otherwise


def apt_login(place: Place) -> str:
    """The line of auth.conf. Without https in front, apt gives a token to https alone, so the scheme is named."""
    return f"machine {place.base} login {USER} password {place.token}"


def apt_certificate(place: Place) -> str:
    """The line of apt.conf that names the site's CA."""
    host = place.authority.partition(":")[0]
    return f'Acquire::https::{host}::CAInfo "{place.certificate}";'


def repo_file(at: TreeAt, repository: DnfRepository) -> str:
    """The section of a ``.repo`` file. After a rollback dnf follows within 60 seconds, not after two days."""
    lines = [
        f"[{at.id}]",
        f"name={at.id}",
        f"baseurl={at.url(repository.root)}/",
        "enabled=1",
        "gpgcheck=1",
        f"gpgkey=file:///etc/pki/rpm-gpg/{at.id}.asc",
        f"repo_gpgcheck={int(repository.is_signed)}",
        "metadata_expire=60",
        "skip_if_unavailable=0",
    ]
    lines += [f"sslcacert={at.place.certificate}"] if at.place.certificate else []
    lines += [f"username={USER}", f"password={at.place.token}"] if at.place.token else []
    return "\n".join(lines)


def freshclam_lines(at: TreeAt, database: ClamDatabase) -> str:
    """The lines of freshclam.conf. Differences between databases are not served, so it takes whole ones."""
    folder = database.path.rpartition("/")[0]
    url = at.url(folder)
    if at.place.token:
        url = url.replace("://", f"://{USER}:{at.place.token}@", 1)
    return f"PrivateMirror {url}\nScriptedUpdates no"


def curl_line(at: TreeAt) -> str:
    """A download that can be resumed: the version is in its address."""
    exact = at if at.version else TreeAt(at.place, at.channel, at.name, "VERSION")
    options = ["--fail", "--remote-name", "--continue-at -"]
    options += [f"--cacert {at.place.certificate}"] if at.place.certificate else []
    options += [f"--user {USER}:{at.place.token}"] if at.place.token else []
    return f"curl {' '.join(options)} {exact.url()}/FILE"
