"""Small apt repositories, written by Debian's own tools and signed, and apt itself in a root of its own."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.clients import run
from tests.patience import PATIENCE_S

SUITE = "stable"


def tool(*command: str | Path, **rest: object) -> bytes:
    """Run a tool that writes test files; its output."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]
        [str(part) for part in command], check=True, capture_output=True, timeout=2 * PATIENCE_S, **rest
    ).stdout


@dataclass(frozen=True)
class Signer:
    """A key of an apt repository's signer, made for a test. ``folder``: GnuPG's, with a short path for its sockets."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "Signer":
        """Make a key."""
        folder.mkdir(mode=0o700)
        signer = cls(folder)
        signer._gpg("--quick-gen-key", "demo <demo@example.org>", "ed25519", "sign", "never")
        signer.public.write_bytes(signer._gpg("--export"))
        return signer

    @property
    def public(self) -> Path:
        """The file of the public key, as signed-by takes it."""
        return self.folder / "public.gpg"

    def clearsign(self, text: bytes) -> bytes:
        """A text with its signature."""
        return self._gpg("--clearsign", "--output", "-", input=text)

    def close(self) -> None:
        """End the agent that GnuPG started."""
        tool("gpgconf", "--homedir", self.folder, "--kill", "all")

    def _gpg(self, *arguments: str, **rest: object) -> bytes:
        return tool("gpg", "--homedir", self.folder, "--batch", "--quiet", "--passphrase", "", *arguments, **rest)


def build_deb(folder: Path, name: str, version: str, content: str) -> Path:
    """A package with one file in it."""
    tree = folder / f"{name}-{version}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "usr/share/demo").mkdir(parents=True)
    (tree / "usr/share/demo" / name).write_text(content)
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: demo <demo@example.org>\n"
    (tree / "DEBIAN/control").write_text(f"{control}Description: a package for a test\n")
    path = folder / f"{name}_{version}_all.deb"
    tool("dpkg-deb", "--root-owner-group", "--uniform-compression", "-Znone", "--build", tree, path)
    shutil.rmtree(tree)
    return path


def build_apt(
    folder: Path, version: str, signer: Signer | None, *, by_hash: bool = True, label: str = "demo"
) -> dict[str, bytes | str]:
    """The files of a repository that holds ``demo`` in one version, and ``only-VERSION``.

    Two versions of equal length give repositories whose files have equal lengths.
    """
    root, index = folder / f"apt-{version}-{label}-{by_hash}", Path("dists") / SUITE / "main/binary-amd64"
    (root / "pool").mkdir(parents=True)
    (root / index).mkdir(parents=True)
    build_deb(root / "pool", "demo", version, f"demo {version}\n")
    build_deb(root / "pool", f"only-{version}", version, f"only in {version}\n")
    (root / index / "Packages").write_bytes(tool("apt-ftparchive", "packages", "pool", cwd=root))
    fields = {"Origin": "demo", "Label": label, "Suite": SUITE, "Codename": SUITE, "Components": "main"}
    fields |= {"Architectures": "amd64", "Acquire-By-Hash": "yes" if by_hash else "no"}
    options = [f"--option=APT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    text = tool("apt-ftparchive", *options, "release", f"dists/{SUITE}", cwd=root).decode()
    text = "".join(_dated(line, version) for line in text.splitlines(keepends=True)).replace(
        "Acquire-By-Hash: no\n", ""
    )
    name = "InRelease" if signer else "Release"
    (root / "dists" / SUITE / name).write_bytes(signer.clearsign(text.encode()) if signer else text.encode())
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _dated(line: str, version: str) -> str:
    """A Release says when it was made: the later version an hour later."""
    return f"Date: Sun, 01 Nov 2026 0{version[0]}:00:00 UTC\n" if line.startswith("Date:") else line


@dataclass(frozen=True)
class Apt:
    """apt-get with a state, a cache and settings of its own, and none of this machine's. It installs nothing."""

    folder: Path

    @classmethod
    def make(cls, folder: Path, *lines: str) -> "Apt":
        """An empty one, with these source lines."""
        one = cls(folder)
        for name in ("etc/parts", "etc/preferences.d", "state/lists/partial", "cache/archives/partial", "got"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        settings = {
            "Dir": f"{folder}/",
            "Dir::Etc": f"{folder}/etc",
            "Dir::Etc::parts": "parts",
            "Dir::Etc::sourceparts": "-",
            "Dir::State": f"{folder}/state",
            "Dir::State::status": f"{folder}/status",
            "Dir::Cache": f"{folder}/cache",
            "Dir::Log": f"{folder}/state",
            "Dir::Bin::methods": "/usr/lib/apt/methods",
            "APT::Architecture": "amd64",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "0",
        }
        (folder / "apt.conf").write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
        one.point(*lines)
        return one

    def point(self, *lines: str) -> None:
        """Other source lines."""
        (self.folder / "etc/sources.list").write_text("\n".join([*lines, ""]))

    def get(self, *arguments: str, into: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run apt-get. ``into``: where its downloads go."""
        env = {"APT_CONFIG": str(self.folder / "apt.conf")}
        return run("apt-get", *arguments, env=env, cwd=into or self.folder / "got")

    def update(self) -> subprocess.CompletedProcess[str]:
        """As the printed line for cron has it."""
        return self.get("update", "--error-on=any")

    def candidate(self, package: str = "demo") -> str:
        """The version that it would install."""
        said = run("apt-cache", "policy", package, env={"APT_CONFIG": str(self.folder / "apt.conf")}).stdout
        return next((line.split()[1] for line in said.splitlines() if "Candidate:" in line), "")

    def download(self, package: str = "demo") -> str:
        """What a package that it fetches has in its file; empty: it could not."""
        for path in (self.folder / "got").iterdir():
            path.unlink()
        if self.get("download", package).returncode:
            return ""
        (path,) = (self.folder / "got").iterdir()
        name = package.partition("=")[0]
        return tool("sh", "-c", f"dpkg-deb --fsys-tarfile '{path}' | tar -xO ./usr/share/demo/{name}").decode()

    def forget(self) -> None:
        """Remove what it knows of repositories."""
        shutil.rmtree(self.folder / "state/lists")
        (self.folder / "state/lists/partial").mkdir(parents=True)

    def has_installed(self, package: str, version: str) -> None:
        """Let it believe that a package is installed."""
        fields = f"Package: {package}\nStatus: install ok installed\nVersion: {version}\nArchitecture: all\n"
        (self.folder / "status").write_text(f"{fields}Maintainer: demo <demo@example.org>\nDescription: a test\n\n")
