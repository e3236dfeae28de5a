"""Gives an order to the daemon, and waits for what becomes of it: what all commands have in common that order."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from diode.config.receiver import ReceiverConfig
from diode.console.terminal import say, say_json
from diode.errors import PolicyError, UsageError
from diode.storage.locking import is_locked
from receiver.commands.opening import open_ledger
from receiver.commands.speaking import signers_for
from receiver.ledger.pointers import Outcome
from receiver.promotion.obey import ON_TRIAL
from receiver.promotion.orders import FOLDER, Order, write_order
from receiver.release.words import ENDING

PATIENCE_S: Final = 60.0  # for the daemon to read an order
LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class How:
    """How a person orders: why, with which key (None: not signed), whether questions are asked, and how it is shown."""

    reason: str = ""
    key: str | None = None
    public: Path | None = None  # the public half of a key in hardware
    yes: bool = False
    as_json: bool = False


def place_of(text: str) -> tuple[str, str]:
    """Channel and name of ``CHANNEL/NAME``. Raises UsageError."""
    channel, slash, name = text.partition("/")
    if not (channel and slash and name) or "/" in name:
        raise UsageError(f"{text!r} is not CHANNEL/NAME; nothing was ordered")
    return channel, name


def give(config: ReceiverConfig, order: Order, how: How) -> Outcome | None:
    """Write an order down, and wait for what becomes of it. None: no daemon runs, and it reads the order when it does.

    Raises TrustError when it would not count, UsageError when it cannot be written, PolicyError when it is refused.
    Ctrl-C says whether it was given.
    """
    signers = signers_for(config, order.channel, how.key, how.public)
    path = config.state / FOLDER / f"{order.id}{ENDING}"
    is_given = False
    try:
        write_order(config.state, order, signers)
        is_given = True
        return _await(config, order, how)
    except OSError as error:
        kept = "the order is given" if is_given else "nothing was ordered"
        raise UsageError(f"{error.strerror}: {error.filename or config.state}; {kept}") from error
    except KeyboardInterrupt:
        if is_given or path.exists():
            say(f"order {order.id} is given, and the daemon reads it all the same", file=sys.stderr)
        else:
            say("nothing was ordered", file=sys.stderr)
        raise


def tell(outcome: Outcome | None, order: Order, how: How) -> None:
    """Show what became of an order. Raises PolicyError when it was refused."""
    if how.as_json:
        fields: dict[str, Any] = {"order": order.id, "what": order.what, "outcome": "given", "detail": ""}
        say_json(fields | ({} if outcome is None else outcome._asdict() | {"order": order.id}))
    if outcome is None:
        say("no daemon runs: it reads the order when it does", file=sys.stderr)
    elif outcome.outcome == "refused":
        raise PolicyError(f"refused: {outcome.detail}; nothing else was changed by this order")
    elif not how.as_json:
        say(f"{outcome.outcome}: {outcome.detail}")


def _await(config: ReceiverConfig, order: Order, how: How) -> Outcome | None:
    if not is_locked(config.state):
        return None
    if not how.as_json:
        say(f"order {order.id} is given; waiting for the daemon ...", file=sys.stderr)
    channel = config.channels.get(order.channel)
    hook_s = channel.health_timeout_s if channel is not None and channel.health else 0.0
    with closing(open_ledger(config)) as ledger:
        found = _until(lambda: ledger.pointers.outcome(order.id), lambda one: one is not None, PATIENCE_S)
        if found is not None and found.detail == ON_TRIAL and hook_s:
            say("it is in use; waiting for the health hook ...", file=sys.stderr)
            found = _until(
                lambda: ledger.pointers.outcome(order.id),
                lambda one: one is not None and one.detail != ON_TRIAL,
                hook_s + PATIENCE_S,
            )
    if found is None:
        raise UsageError(
            f"the daemon did not read order {order.id} within {PATIENCE_S:.0f} s; the order is given and stays: it is "
            "read as soon as the daemon can; 'diode-receiver status' shows whether it runs"
        )
    return found


def _until(
    look: Callable[[], Outcome | None], is_so: Callable[[Outcome | None], bool], patience_s: float
) -> Outcome | None:
    """What is there when it is so, or when patience has come to an end."""
    until = time.monotonic() + patience_s
    while not is_so(found := look()) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    return found
