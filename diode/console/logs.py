"""Sets up logging by structlog on standard error: coloured on a terminal, JSON lines otherwise. Values are escaped."""

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Literal, TextIO, cast

from diode.formats.escape import escape, escape_lines

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor

_OF_LINES: Final = ("exception", "stack")  # made by structlog, of several lines

_RENAMED: Final = {  # new event: the one that lines still carry, until the next release
    "rollback_guard_missing": "anchor_missing",
    "rollback_guard_behind": "anchor_behind",
    "bundle_cancelled": "bundle_withdrawn",
}

Level = Literal["debug", "info", "warning", "error"]


class _Unfailing:
    """A stream for logs that never fails: a closed reader or a full disk must not end the daemon."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def _under_old_name(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    """Log a renamed event under its old name for one more release, with its new name in ``becomes``."""
    old = _RENAMED.get(event["event"])
    return event if old is None else {**event, "event": old, "becomes": event["event"]}


def _escaped(_logger: object, _method: str, event: "EventDict") -> "EventDict":
    """Nothing that a peer, a file's name or a worker says reaches the renderer as it is."""
    return {
        escape(key): escape_lines(value) if key in _OF_LINES and isinstance(value, str) else _shown(value)
        for key, value in event.items()
    }


def _shown(value: Any) -> Any:
    """Text escaped, also inside lists and mappings; figures as they are; whatever else by its escaped ``repr``."""
    if isinstance(value, str):
        return escape(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {escape(str(key)): _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(one) for one in value]
    return escape(repr(value))


class _EscapingFormatter(logging.Formatter):
    """For what libraries log by themselves: asyncio tells in this way of a callback that failed."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_lines(super().format(record))


def configure(level: Level = "info", *, json: bool | None = None) -> None:
    """Set up structlog for this process. ``json`` None: JSON unless standard error is a terminal."""
    import structlog

    as_json = not sys.stderr.isatty() if json is None else json
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty() and "NO_COLOR" not in os.environ,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    handler = logging.StreamHandler(cast("TextIO", _Unfailing(sys.stderr)))
    handler.setFormatter(_EscapingFormatter())
    logging.basicConfig(handlers=[handler], force=True)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _under_old_name,
            _escaped,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", _Unfailing(sys.stderr))),
        cache_logger_on_first_use=False,
    )
