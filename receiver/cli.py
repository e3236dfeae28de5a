"""``diode-receiver``: the enclave side's command."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from diode.config import ReceiverConfig, load
from diode.entry import INTERRUPTED, guarded, new_app
from diode.locking import is_locked
from diode.log import configure
from diode.progress import Display, choose_mode
from receiver.daemon import Receiver
from receiver.ledger import Ledger

app = new_app("The receiving side of a diode link.")
main = guarded(app)

Json = Annotated[bool, typer.Option("--json", help="JSON lines on standard output.")]


@app.callback()
def _common(
    context: typer.Context,
    config: Annotated[Path, typer.Option("--config", "-c", envvar="DIODE_CONFIG", help="receiver.toml")] = Path(
        "receiver.toml"
    ),
) -> None:
    context.obj = config


@app.command()
def run(
    context: typer.Context,
    bundles: Annotated[int | None, typer.Option("--bundles", min=1, help="Exit after so many bundles.")] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--no-progress", help="No bars, no progress lines.")] = False,
) -> None:
    """Receive bundles into the inbox."""
    config = load(ReceiverConfig, context.obj)
    configure(config.log.level, json=config.log.as_json)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    try:
        with Receiver(config, display) as receiver:
            asyncio.run(receiver.run(bundles))
            display.close()
            display.summary(receiver.summary())
            if receiver.interrupted is not None:
                raise typer.Exit(INTERRUPTED if receiver.interrupted == 2 else 0)
            raise typer.Exit(receiver.exit_code if bundles is not None else 0)
    finally:
        display.close()


@app.command()
def status(context: typer.Context, as_json: Json = False) -> None:
    """The newest bundles and what became of them."""
    config = load(ReceiverConfig, context.obj)
    path = config.state / "ledger.db"
    ledger = Ledger(path, read_only=True) if path.exists() else None
    rows = ledger.recent(20) if ledger else []
    running = is_locked(config.state)
    if as_json:
        print(json.dumps({"running": running, "bundles": [row._asdict() for row in rows]}))
        return
    table = Table("bundle", "id", "bytes", "files", "state", box=box.SIMPLE)
    for row in rows:
        stored = f" ({ledger.stored_slabs(row.id)} slabs stored)" if ledger and row.state == "receiving" else ""
        state = row.state + stored + (f": {row.detail}" if row.detail else "")
        label = f"{row.channel}/{row.name}/{row.version}"
        table.add_row(label, row.id, f"{row.size:,}", f"{row.files:,}", state)
    Console().print(f"daemon: {'running' if running else 'not running'}", table)
