"""Trees for tests, small and by hand, and a way to ask for their files without a server."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from receiver.catalogue.snapshot import Snapshot
from receiver.gateway.answers import Answer, BundleFile
from receiver.gateway.request import Request, segments_of
from receiver.gateway.trees.answer import answer
from receiver.gateway.view import View
from tests.serving import Serving

RELEASE: Final = (
    "Origin: demo\nLabel: {label}\nCodename: stable\nComponents: main\nAcquire-By-Hash: {by_hash}\nDate: {date}\n"
)


def release(
    label: str = "demo", by_hash: str = "yes", date: str = "Sat, 01 Nov 2026 00:00:00 UTC", more: str = ""
) -> str:
    """The text of a Release file."""
    return RELEASE.format(label=label, by_hash=by_hash, date=date) + more


def apt_tree(version: str, **rest: str) -> dict[str, str]:
    """The files of an apt repository, each with the version in it."""
    return {
        "dists/stable/InRelease": release(more=f"Version: {version}\n", **rest),
        "dists/stable/main/binary-amd64/Packages": f"packages of {version}\n",
        f"pool/demo_{version}_all.deb": f"deb of {version}\n",
        "pool/same_1_all.deb": "the same in each\n",
    }


def dnf_tree(version: str) -> dict[str, str]:
    """The files of a dnf repository."""
    primary = f"primary of {version}\n"
    digest = hashlib.sha256(primary.encode()).hexdigest()
    return {
        "repodata/repomd.xml": f"<repomd>{digest}</repomd>\n",
        f"repodata/{digest}-primary.xml.gz": primary,
        f"demo-{version}.rpm": f"rpm of {version}\n",
    }


class Asked:
    """Asks for paths below the protocol's prefix."""

    def __init__(self, serving: Serving, channels: tuple[str, ...] = ("tools",), closed: tuple[str, ...] = ()) -> None:
        self._serving = serving
        self._channels = frozenset(channels)
        self._closed = frozenset(closed)

    def __call__(self, path: str, method: str = "GET", began: str = "", **headers: str) -> Answer:
        """The answer for a path as it is sent."""
        with Snapshot(self._serving.folder / "index") as snapshot:
            view = View(snapshot, "trees", self._channels, self._closed)
            return answer(Request(method, segments_of(path), headers=headers, prefix="/trees", began=began), view)

    def text(self, path: str, began: str = "") -> str:
        """The body of an answer; of a refusal its status."""
        found = self(path, began=began)
        if found.status != 200:
            return str(found.status)
        if not isinstance(found.body, BundleFile):
            return found.body.decode()
        return self.content(found.body)

    def content(self, held: BundleFile) -> str:
        """What a file holds, in the bundle that answered."""
        one = held.bundle
        place = self._serving.folder / "inbox" / one.channel / one.name / one.version
        return (place / "data" / held.file.path).read_text()


def tools(folder: Path, *trees: tuple[str, Mapping[str, str | bytes]], name: str = "demo") -> tuple[Serving, list[str]]:
    """A channel ``tools`` with the versions of a tree, the last one in use; and the ids of their bundles."""
    serving = Serving(folder, {"tools": ("trees",)})
    return serving, [serving.publish("tools", name, version, files) for version, files in trees]
