"""The document that npm reads of a package: its versions, which of them each tag means, and when each was published.

What it shows follows the pointer: ``latest`` is the newest version in the bundle that is in use, not the highest of
all. A recalled version is there as ``deprecated``, with the reason; no tag means it. So is one that a rollback left,
and that one can be had: npm looks for exact versions in the document, which it may read again after it knows one.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Any, Final

from diode.layouts.names import normal_form
from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import why_recalled
from receiver.gateway.npm.semver import newest, order_of
from receiver.gateway.packages import Fact, Package, card_file, gather
from receiver.gateway.view import View

ROLLED_BACK: Final = "Rolled back: another version is in use"


@dataclass(frozen=True, slots=True)
class Versions:
    """All versions of one package, in its own spelling, and the address below which they are had."""

    name: str
    base: str
    view: View
    packages: dict[str, Package]

    @property
    def offered(self) -> list[str]:
        """Versions that lists show."""
        return [version for version, one in self.packages.items() if one.offering]

    @property
    def left(self) -> list[str]:
        """Versions that were in use and were left by a rollback: they can be had by their number alone."""
        return [version for version, one in self.packages.items() if one.is_left]

    @property
    def recalled(self) -> dict[str, Listed]:
        """Versions that were in use and are recalled, and by which bundle."""
        found = {version: one.recalled for version, one in self.packages.items() if one.was_in_use}
        return {version: bundle for version, bundle in found.items() if bundle is not None}

    def manifest(self, version: str) -> dict[str, Any]:
        """What is said of one version."""
        package = self.packages[version]
        address = f"{self.base}/{self.name}/-/{self.name.rpartition('/')[2]}-{version}.tgz"
        said = {**package.fact["manifest"], "dist": {"tarball": address, "integrity": self._integrity(package)}}
        if package.recalled is not None:
            return {**said, "deprecated": why_recalled(package.recalled)}
        return {**said, "deprecated": ROLLED_BACK} if package.is_left else said

    def _integrity(self, package: Package) -> str:
        """SHA-512 alone: another digest, or none, changes what people's lock files hold."""
        file = card_file(self.view, package.served or package.holders[0])
        return f"sha512-{b64encode(bytes.fromhex(file.sha512)).decode()}" if file and file.sha512 else ""

    def tags(self) -> dict[str, str]:
        """Which version each tag means: ``latest`` by the pointer, others as upstream had them."""
        offered = self.offered
        if not offered:
            return {}
        tags: dict[str, tuple[int, str]] = {}
        for version in offered:
            for holder in self.packages[version].holders:
                if holder.bundle in self.packages[version].offering:
                    for tag in holder.fact["tags"]:
                        tags[tag] = max(tags.get(tag, (0, "")), (holder.bundle.sequence, version))
        return {"latest": self._latest(offered), **{tag: version for tag, (_, version) in sorted(tags.items())}}

    def _latest(self, offered: list[str]) -> str:
        """The newest version in use. If what was in use is recalled, the newest of the bundle before it."""
        current = [v for v in offered if any(one.is_current for one in self.packages[v].offering)]
        if current:
            return newest(current)
        before = {v: max(one.sequence for one in self.packages[v].offering) for v in offered}
        last = max(before.values())
        return newest([version for version in offered if before[version] == last])

    def document(self) -> dict[str, Any]:
        """The whole document."""
        shown = sorted({*self.offered, *self.left, *self.recalled}, key=order_of)
        versions = {version: self.manifest(version) for version in shown}
        versions = {version: said for version, said in versions.items() if said["dist"]["integrity"]}
        times = {version: self.packages[version].uploaded for version in versions}
        return {
            "name": self.name,
            "dist-tags": {tag: version for tag, version in self.tags().items() if version in versions},
            "versions": versions,
            "modified": max(times.values(), default=""),
            "time": {"created": min(times.values(), default=""), "modified": max(times.values(), default=""), **times},
        }


def versions_of(view: View, base: str, name: str) -> Versions:
    """All versions of a package whose name is spelt so. Raises TokenNeededError."""

    def key_of(fact: Fact) -> str | None:
        return str(fact["version"]) if fact["name"] == name else None

    return Versions(name, base, view, gather(view, "npm", normal_form("npm", name), key_of).packages)
