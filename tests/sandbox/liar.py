"""A worker that was taken over and lies: ``PIPES MODULE MODE LIES``.

It starts and confines itself as the real one. Then, instead of working, it writes lies into its pipes: one a life, the
next one in its next life, since who lies is ended. ``LIES`` is a folder with the number of the life.
"""

import importlib
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

FOREIGN: Final = "0123456789abcdef"
CLEAN: Final = {"event": "held", "bundle": FOREIGN, "label": "cve/clean/1", "path": "/clean", "scan": True}


def said(say: str, **fields: Any) -> bytes:
    """A line as the real worker would write it."""
    return json.dumps({"say": say, **fields}, separators=(",", ":")).encode()


OF_BUNDLES: Final = (
    json.dumps(CLEAN | {"channel": "cve", "bytes": 1, "files": 1}).encode(),
    json.dumps({"event": "published", "bundle": "../../../outside", "label": "a", "path": "/", "bytes": 1}).encode(),
    said("Held", bundle="HELD", people=0),
    said("Published", bundle="../../../../clean"),
    said("BundleRefused", bundle="HELD", reason="policy"),
    said("AcceptedBy", bundle="HELD", person="\x1b[2J"),
    said("TrustChanged", bundle="HELD", version=7),
    said("Fatal", detail="over", exit_code=2),
    b"[" * 60_000,
    b"x" * (4 << 20),
)
OF_SLABS: Final = (  # assemble to store
    said("Complete", bundle=1, kind=1, flags=0, number=0, offset=1 << 40, length=1),
    said("Complete", bundle=1, kind=2, flags=0, number=0, offset=0, length=64 << 20),
    said("Spilled", bundle=1, kind=1, flags=2, number=0, offset=0, symbol_bytes=448, symbols=8, have="/w=="),
    b"[" * 60_000,
)
OF_REGIONS: Final = (b"\xff" * 8, b"\0" * 5)  # listen to assemble
HEARD: Final = said("Heard", beat="{}", admitted=[], key="0" * 64, has_mac=0)
BEAT: Final = '{"epoch":9,"number":1,"clock":0,"sessions":{},"channels":{},"bundles":[]}'
UNDER_NO_KEY: Final = said("Heard", beat=BEAT, admitted=[], key="0" * 64, has_mac=0)
LIES: Final = {
    "receiver.transport.listen": [("control_write", lie + b"\n") for lie in (*OF_BUNDLES, HEARD)]
    + [("ready_write", lie) for lie in OF_REGIONS],
    "receiver.transport.assemble": [("control_write", lie + b"\n") for lie in (*OF_BUNDLES, HEARD, UNDER_NO_KEY)]
    + [("store_write", lie + b"\n") for lie in OF_SLABS],
}


def main() -> None:
    """Be the worker, until its work begins."""
    module, folder = sys.argv[2], Path(sys.argv[4])
    worker: Any = importlib.import_module(module)  # its names are replaced below
    life = len(list(folder.glob("life-*")))
    (folder / f"life-{life}").touch()
    held = (folder / "held").read_bytes()

    real = worker.start_worker
    settings: dict[str, Any] = {}

    def start_worker(*arguments: Any, **options: Any) -> Any:
        own, control = real(*arguments, **options)
        settings.update(asdict(own), control_read=control.read_fd, control_write=control.write_fd)
        settings.update(settings.pop("pipes", {}))
        return own, control

    def lie(_: object) -> None:
        if life < len(LIES[module]):
            pipe, line = LIES[module][life]
            line = line.replace(b"HELD", held)
            while line:
                line = line[os.write(settings[pipe], line) :]
        os.read(settings["control_read"], 1)

    (kind,) = (
        each
        for each in vars(worker).values()
        if isinstance(each, type) and each.__module__ == module and hasattr(each, "run")
    )
    kind.run = lie
    worker.start_worker = start_worker
    worker.main()
