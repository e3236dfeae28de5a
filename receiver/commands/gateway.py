"""``diode-receiver gateway``: serves the inbox to clients, prints lines for them, and tries each from outside."""

import asyncio
import os
import signal
from pathlib import Path

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.logs import configure
from diode.console.terminal import say, say_json
from diode.errors import FindingsError, UsageError
from diode.layouts.kinds import KINDS


def run(toml: Path, listen: str) -> None:
    """Serve until a signal ends it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can be answered: it must not end what is starting
    _require()
    from receiver.gateway.server.keeper import Keeper
    from receiver.gateway.server.listening import address_of, open_all

    config = load(ReceiverConfig, toml)
    configure(config.log.level, json=config.log.as_json)
    os.umask(0o027)
    address = address_of(config, listen)

    async def keep() -> None:
        await Keeper(toml, config, address, listening).run()

    listening = open_all(config, address)
    try:
        asyncio.run(keep())
    finally:
        for one in listening:
            one.sock.close()


def _require() -> None:
    """Raise UsageError where the extra is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("starlette", "uvicorn", "simple_repository") if find_spec(name) is None]
    if missing:
        raise UsageError(f"{', '.join(missing)} not installed; the gateway is an extra: pip install 'diode[gateway]'")


def clients(toml: Path, kind: str, listen: str, *, as_json: bool) -> None:
    """Print what people write into the configuration of each client."""
    _require()
    from receiver.gateway.places import current_of, places, printed

    config = load(ReceiverConfig, toml)
    if kind and kind not in KINDS:
        raise UsageError(f"{kind} is no protocol; there are {', '.join(KINDS)}")
    url = _url(config, listen)
    served = places(config, url, current_of(config, config.gateway.index))
    found = [one for one in printed(served) if kind in ("", one.kind)]
    if as_json:
        say_json([{"kind": one.kind, "base": one.base, **one.lines._asdict()} for one in found])
        return
    if not served or (kind and kind not in served):
        what = f"{kind} is not served" if kind else "no channel is served"
        raise UsageError(f'{what}: write serve = ["{kind or KINDS[0]}"] below one of [channels]')
    for one in found:
        say(f"# {one.lines.client}, {one.kind} at {one.base}: {one.lines.file}")
        say(*one.lines.text.splitlines())
        say(*(f"# {line}" for line in one.lines.note.splitlines()), "")


def check(toml: Path, listen: str, ca: Path | None, token: str, *, as_json: bool) -> None:
    """Try the gateway from outside. Raises FindingsError when something does not work."""
    _require()
    from receiver.gateway.check import Outside, unserved
    from receiver.gateway.check import check as findings

    config = load(ReceiverConfig, toml)
    bad = 0
    for one in findings(config, _url(config, listen), Outside(ca, token)):
        bad += not one.is_good
        if as_json:
            say_json({"message_type": "finding", **one._asdict()})
        else:
            say(f"{'ok    ' if one.is_good else 'FAILED'} {one.what}: {one.said}")
    for protocol, what, count in unserved(config.gateway.log):
        if as_json:
            say_json({"message_type": "unserved", "protocol": protocol, "what": what, "count": count})
        else:
            say(f"asked, and not served: {protocol} {what} ({count} times)")
    if bad:
        raise FindingsError(f"{bad} of these do not work; each line says what to mend")


def _url(config: ReceiverConfig, listen: str) -> str:
    from receiver.gateway.server.listening import address_of
    from receiver.gateway.server.plan import url_of

    if config.gateway.url:
        return config.gateway.url
    return url_of(config, address_of(config, listen))
