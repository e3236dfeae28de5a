"""Small dnf repositories, by rpmbuild and createrepo_c, and dnf itself, which installs into a root of its own."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.apt import tool
from tests.clients import run

SPEC: Final = """Name: demo
Version: {version}
Release: 1
Summary: a package for a test
License: none
BuildArch: noarch
%description
A package for a test.
%install
mkdir -p %{{buildroot}}/usr/share/demo
echo demo {version} > %{{buildroot}}/usr/share/demo/demo
%files
/usr/share/demo/demo
"""


def build_rpm(folder: Path, version: str) -> Path:
    """A package ``demo`` with one file in it."""
    top = folder / f"rpmbuild-{version}"
    top.mkdir(parents=True)
    (top / "demo.spec").write_text(SPEC.format(version=version))
    tool("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {top}", top / "demo.spec")
    (built,) = (top / "RPMS").rglob("*.rpm")
    return built


def build_dnf(folder: Path, version: str, *options: str) -> dict[str, bytes | str]:
    """The files of a repository that holds ``demo`` in one version. ``options``: createrepo_c's."""
    root = folder / f"dnf-{version}"
    root.mkdir(parents=True)
    shutil.copy(build_rpm(folder, version), root)
    tool("createrepo_c", "--quiet", *options, root)
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Dnf:
    """Dnf with a root, a cache and settings of its own. Only root may let it install."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, section: str) -> "Dnf":
        """An empty one, with the section of a ``.repo`` file."""
        for name in ("conf", "root"):
            (folder / name).mkdir(parents=True)
        lines = ["[main]", f"reposdir={folder}/conf", f"varsdir={folder}/conf", "plugins=0", "retries=1"]
        lines += ["cachedir=/cache", "persistdir=/persist", "logdir=/log"]  # dnf takes these as places in its root
        (folder / "conf/dnf.conf").write_text("\n".join([*lines, ""]))
        (folder / "conf/demo.repo").write_text(section.replace("gpgcheck=1", "gpgcheck=0") + "\n")
        return cls(folder)

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run dnf."""
        place = ("--config", self.folder / "conf/dnf.conf", "--installroot", self.folder / "root", "--releasever", "9")
        return run("dnf", *place, "--assumeyes", *arguments)

    def installed(self) -> str:
        """What the file of ``demo`` holds; empty: it is not installed."""
        path = self.folder / "root/usr/share/demo/demo"
        return path.read_text() if path.exists() else ""

    def forget(self) -> None:
        """Remove what it knows of repositories."""
        shutil.rmtree(self.folder / "root/cache", ignore_errors=True)
