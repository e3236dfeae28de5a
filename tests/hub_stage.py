"""Where clients of Hugging Face are tried: a gateway behind a proxy that can wait between two requests."""

import hashlib
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from receiver.gateway.clients.hub import lines as lines_of
from receiver.gateway.clients.lines import Place
from receiver.gateway.hub import answer as hub
from receiver.gateway.server.app import Mounted, mounted
from tests import hub_script
from tests.clients import python_with, run
from tests.moving_proxy import Moving, between
from tests.serving import Serving

BYTES: Final = 300_000
REASON: Final = "it leaks secrets, take 3"


class Stage:
    """A gateway that runs behind a proxy, and two versions of equal length: the first one is in use."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.serving = Serving(folder / "served", {"weights": ("hub",)})
        self.ids = {}
        for version in ("1", "2"):
            self.ids[version] = self.serving.publish("weights", "acme--tiny", version, self.files(version))
        self.serving.promote("weights", "acme--tiny", "1")
        channels = frozenset({"weights"})
        mounts = [*mounted(self.serving.serve), Mounted("", "hub", hub.answer, channels)]
        gateway = stack.enter_context(self.serving.running(mounts))
        self.address: str
        self.moving: Moving
        self.address, self.moving = stack.enter_context(between(gateway))

    @staticmethod
    def files(version: str) -> dict[str, str]:
        """Of equal length in both versions."""
        config = json.dumps({"model_type": "bert", "v": version})
        return {"config.json": config, "model.safetensors": version * BYTES, "sub/a.txt": version, "empty.txt": ""}

    def commit(self, version: str) -> str:
        """Its commit."""
        return self.serving.listed[self.ids[version]].content[:40]

    def promote(self, version: str) -> None:
        """Put a version to use."""
        self.serving.promote("weights", "acme--tiny", version)

    def environment(self, **more: str) -> dict[str, str]:
        """What the printed lines say, and a home that nothing else uses."""
        found = next(one for one in lines_of(Place(f"{self.address}/hub")) if one.file == "environment")
        printed = dict(line.split("=", 1) for line in found.text.splitlines())
        home = {"HOME": str(self.folder), "HF_HOME": str(self.folder / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        return printed | home | more

    def client(self, *requirements: str, steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a client's version did."""
        python = python_with(*requirements) / "python"
        done = run(python, hub_script.__file__, json.dumps(steps), env=self.environment())
        assert done.returncode == 0, done.stderr
        results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return results

    def step(self, do: str, cache: str, revision: str = "main", **more: Any) -> dict[str, Any]:
        """One step, with a cache of its own."""
        found = {"do": do, "repo_id": "acme/tiny", "revision": revision, "cache_dir": str(self.folder / cache), **more}
        return found | ({"filename": "model.safetensors"} if do == "file" and "filename" not in more else {})

    def mixed(self, cache: Path) -> list[str]:
        """What lies under another's name: blobs under another digest, files under another commit."""
        wrong = [
            blob.name
            for blob in cache.glob("models--*/blobs/*")
            if not blob.name.endswith(".incomplete") and hashlib.sha256(blob.read_bytes()).hexdigest() != blob.name
        ]
        for version in ("1", "2"):
            folder = cache / "models--acme--tiny" / "snapshots" / self.commit(version)
            for name, content in self.files(version).items():
                if (folder / name).exists() and (folder / name).read_text() != content:
                    wrong.append(f"{version}: {name}")
        known = {self.commit("1"), self.commit("2")}
        return wrong + [one.name for one in cache.glob("models--*/snapshots/*") if one.name not in known]
