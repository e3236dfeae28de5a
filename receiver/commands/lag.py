"""``diode-receiver lag``: how old the content of each channel is, as a table, as a picture, or as JSON."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from diode.config.load import load
from diode.config.receiver import ReceiverConfig
from diode.console.columns import say_columns
from diode.console.terminal import say, say_json
from diode.formats.timestamps import now_utc
from diode.storage.durable import disk_error, write_durably
from receiver.catalogue.lag import Lag, State, lags, said, whole_days
from receiver.catalogue.lag_picture import LEGEND, WORDS, bar, scale_of, steps, svg
from receiver.commands.opening import maybe_ledger

CLOCK: Final = "comes from the future: this host's clock is behind, or a date is wrong"
BY_BUILD: Final = "built: nothing says the content's own date, so it may be older than it seems"


def show(toml: Path, *, as_json: bool, picture: Path | None) -> None:
    """Show the lag of each channel. ``picture``: an SVG file to write it to, too."""
    config, now = load(ReceiverConfig, toml), now_utc()
    ledger = maybe_ledger(config)
    if ledger is None:
        rows = lags((), config.channels, now)
    else:
        with closing(ledger):
            rows = lags(ledger.catalogue.arrivals(), config.channels, now)
    if picture is not None:
        _write(picture, svg(rows, now))
    if as_json:
        say_json({"at": now, "channels": [said(row) for row in rows]})
    else:
        _draw(rows)


def text(row: Mapping[str, Any]) -> str:
    """A channel in one line, as :func:`receiver.catalogue.lag.said` has it."""
    if row["state"] == State.CLOCK:
        return f"lag: what channel {row['channel']} holds {CLOCK}"
    budget, word = f"budget {row['breach_days']:g}", WORDS[State(row["state"])]
    return f"lag: channel {row['channel']} is {row['lag_days']} days old ({budget}), {word}; diode-receiver lag"


def _draw(rows: list[Lag]) -> None:
    say_columns(("channel", "state", "age", "in use", "last", "budget", "trend", "by"), [_cells(row) for row in rows])
    scale = scale_of(rows)
    pictures = [(row.channel, bar(row, scale), _days(row.days), WORDS[row.state], steps(row.arrivals)) for row in rows]
    say_columns(("", "", "", "", ""), pictures)
    say(f"d: days; {LEGEND}; the longest bar is {scale:.0f} days; the steps at its right: the lag after each arrival")
    if any(row.is_by_build for row in rows):
        say(BY_BUILD)
    for row in rows:
        if row.state == State.CLOCK:
            say(f"what channel {row.channel} holds {CLOCK}")


def _cells(row: Lag) -> tuple[str, ...]:
    days = [_days(each) for each in (row.days, row.in_use_days, row.since_days)]
    budget = f"{row.budget.warn_days:g}/{row.budget.breach_days:g}"
    return row.channel, WORDS[row.state], *days, budget, row.trend, row.dated_by


def _days(days: float | None) -> str:
    whole = whole_days(days)
    return "" if whole is None else f"{whole} d"


def _write(path: Path, content: str) -> None:
    try:
        write_durably(path, content.encode())
    except OSError as error:
        raise disk_error(error, f"the picture {path} cannot be written", "nothing was changed") from error
