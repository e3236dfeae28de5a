"""Lines for clients of ``trees``: apt, dnf, freshclam, grype, curl; and what moves machines back after a rollback."""

from collections.abc import Iterator
from typing import Final

from receiver.catalogue.tree_facts import ClamDatabase, DnfRepository, TreeFacts
from receiver.gateway.clients.lines import Clearing, Lines, Place
from receiver.gateway.clients.tree_lines import (
    UNKNOWN_SUITE,
    TreeAt,
    apt_certificate,
    apt_login,
    curl_line,
    freshclam_lines,
    repo_file,
    sources_line,
)

CLEARING: Final[tuple[Clearing, ...]] = (
    Clearing(
        "Debian APT-HTTP",
        "apt",
        "rm -rf /var/lib/apt/lists/* && apt-get clean && apt-get update --error-on=any",
        asks=True,
    ),
    Clearing("libdnf", "dnf", "dnf clean all && dnf distro-sync --refresh", asks=True),
    Clearing("ClamAV", "freshclam", "rm -f /var/lib/clamav/*.cvd /var/lib/clamav/*.cld && freshclam", asks=True),
    Clearing("curl", "curl", "rm FILES  # whatever was downloaded of {name} {version}", asks=False),
    Clearing("Wget", "wget", "rm FILES  # whatever was downloaded of {name} {version}", asks=False),
)
CRON: Final = "apt-get update --error-on=any && apt-get --yes dist-upgrade"
_ANY: Final = TreeFacts(
    apt=[UNKNOWN_SUITE], dnf=[DnfRepository(root="")], clamav=[ClamDatabase(path="daily.cvd", version=0)]
)
_KEY: Final = "The key of the repository's own signer goes into the file of signed-by. It does not come from here."


def lines(place: Place) -> list[Lines]:
    """The lines of each client, for this place: for each tree that is named, or for any."""
    found = list(_everywhere(place))
    for channel, name in place.names or (("CHANNEL", "NAME"),):
        facts = place.trees.get((channel, name), TreeFacts() if place.names else _ANY)
        at = TreeAt(place, channel, name)
        found += [*_apt(at, facts), *_dnf(at, facts), *_clamav(at, facts), *_files(at)]
    return found


def moving_back(place: Place, channel: str, name: str, version: str) -> list[Lines]:
    """What moves machines to ``version`` when the pointer was rolled back to it, or when a newer one was recalled.

    apt throws an older Release away without a word, whatever a server does, and freshclam an older database.
    """
    facts = place.trees.get((channel, name), TreeFacts())
    exact = TreeAt(place, channel, name, version)
    found: list[Lines] = []
    if facts.apt:
        text = "\n".join(
            [
                *(sources_line(exact, suite) for suite in facts.apt),
                "apt-get update --error-on=any",
                "apt-get --yes --allow-downgrades install PACKAGE=VERSION",
            ]
        )
        note = (
            "Machines that saw the newer version stay on it: put these lines in the place of the old ones. Or keep the "
            "old ones, and remove what apt remembers: rm -rf /var/lib/apt/lists/*"
        )
        found.append(Lines("apt", f"/etc/apt/sources.list.d/{exact.id}.list", text, note))
    if facts.dnf:
        note = "dnf follows at its next refresh; upgrade alone puts nothing back."
        found.append(Lines("dnf", "", f"dnf --refresh --repo {exact.id} distro-sync", note))
    if facts.clamav:
        note = "freshclam keeps a newer database without a word."
        found.append(Lines("freshclam", "", CLEARING[2].command, note))
    return found


def _everywhere(place: Place) -> Iterator[Lines]:
    if place.token:
        note = "Readable by root alone: chmod 600"
        yield Lines("apt", "/etc/apt/auth.conf.d/diode.conf", apt_login(place), note)
    if place.certificate:
        yield Lines("apt", "/etc/apt/apt.conf.d/80diode", apt_certificate(place))


def _apt(at: TreeAt, facts: TreeFacts) -> Iterator[Lines]:
    if not facts.apt:
        return
    text = "\n".join(sources_line(at, suite) for suite in facts.apt)
    yield Lines("apt", f"/etc/apt/sources.list.d/{at.id}.list", text, " ".join([_KEY, *_reasons(facts)]))
    note = "Without --error-on=any apt ends with 0 when a server does not answer."
    yield Lines("apt", "cron", CRON, note)


def _reasons(facts: TreeFacts) -> Iterator[str]:
    if not all(suite.by_hash for suite in facts.apt):
        yield (
            "by-hash=force: its Release does not say Acquire-By-Hash, and without it an update fails when the version "
            "changes meanwhile."
        )
    if any(suite.valid_until for suite in facts.apt):
        yield "check-valid-until=no: its Release has an end date, which lies behind us here sooner than upstream."
    if not all(suite.signed for suite in facts.apt):
        yield "trusted=yes: it is not signed; only the bundle that it came in is."


def _dnf(at: TreeAt, facts: TreeFacts) -> Iterator[Lines]:
    if facts.dnf:
        text = "\n\n".join(repo_file(at, repository) for repository in facts.dnf)
        note = (
            "The key of the packages' own signer goes into the file of gpgkey; gpgcheck=0 where they are not signed. "
            "After a rollback: dnf distro-sync"
        )
        yield Lines("dnf", f"/etc/yum.repos.d/{at.id}.repo", text, note)


def _clamav(at: TreeAt, facts: TreeFacts) -> Iterator[Lines]:
    if facts.clamav:
        note = "freshclam never takes an older database, also not after a rollback."
        note += " It writes the address, token included, into its log when it fails." if at.place.token else ""
        yield Lines("freshclam", "freshclam.conf", freshclam_lines(at, facts.clamav[0]), note)


def _files(at: TreeAt) -> Iterator[Lines]:
    version = at.place.versions.get((at.channel, at.name), "")
    exact = TreeAt(at.place, at.channel, at.name, version)
    note = (
        "With the version in the address. Without it, a download that is resumed after a new version came may hold "
        "both; compare with SHA256SUMS."
    )
    yield Lines("curl", "", curl_line(exact), note)
    if at.place.trees.get((at.channel, at.name), TreeFacts()) == TreeFacts():
        grype = f"GRYPE_DB_VALIDATE_AGE=false\ngrype db import FILE  # from {exact.url()}/"
        yield Lines("grype", "environment", grype, "Without it grype refuses a database that is older than five days.")
