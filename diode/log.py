"""The logger of every room: structlog's, which is loaded when the first line is logged. Most commands log none.

How lines look is said by :mod:`diode.console.logs`.
"""

from collections.abc import Callable
from typing import Any


class Log:
    """Logs events with their fields. Values may be anything: they are escaped when they are written."""

    def __init__(self) -> None:
        self._configure: Callable[[], None] | None = None

    def before_first(self, configure: Callable[[], None] | None) -> None:
        """Call ``configure`` before the first line, unless structlog has been configured by then. None: leave it so."""
        self._configure = configure

    def info(self, event: str, **fields: Any) -> None:
        """Log what happens as it should."""
        self._structlog().info(event, **fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Log what a person should look at."""
        self._structlog().warning(event, **fields)

    def error(self, event: str, **fields: Any) -> None:
        """Log what a person must look at."""
        self._structlog().error(event, **fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Log an error with the traceback of the exception that is being handled."""
        self._structlog().exception(event, **fields)

    def log(self, level: int, event: str, **fields: Any) -> None:
        """Log at a level of :mod:`logging`."""
        self._structlog().log(level, event, **fields)

    def _structlog(self) -> Any:
        import structlog

        if self._configure is not None and not structlog.is_configured():
            self._configure()
        return structlog.get_logger()


log = Log()
