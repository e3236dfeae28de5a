"""``diode-sender export``: writes bundles to physical media."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from diode.bundle.ref import names_of
from diode.config.load import load
from diode.config.sender import SenderConfig
from diode.console.logs import configure
from diode.console.progress import Display, choose_mode
from diode.console.terminal import say
from sender.commands.opening import open_audit, open_ledger
from sender.media.export import export, find


def export_bundles(toml: Path, target: Path, bundles: Sequence[str], *, as_json: bool, quiet: bool) -> None:
    """Write each bundle to the medium that is mounted at ``target``, and say when that may be pulled."""
    config = load(SenderConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    try:
        with closing(open_ledger(config, read_only=False)) as ledger:
            audit = open_audit(config)
            for row in [find(ledger, bundle) for bundle in bundles]:
                names, size = names_of(row), row.size

                def show(done: int, names: dict[str, str] = names, size: int = size) -> None:
                    display.update(names["label"], done, size, "to the medium", names)

                done = export(config.state, ledger, audit, row, target, show)
                read_back = "O_DIRECT" if done.is_direct else "posix_fadvise"
                outcome = "exported" if done.is_new else "on the medium already"
                display.finish(names["label"], outcome, names | {"bytes": size, "read_back_by": read_back})
    finally:
        display.close()
    say(
        f"written, synced and read back; the medium may be pulled once it is unmounted: umount {target}",
        file=sys.stderr,
    )
