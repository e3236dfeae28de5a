"""What a person asks ``status`` for, on either side."""

from typing import Final, NamedTuple

USUAL: Final = 20  # of the newest bundles
ALL: Final = 1 << 40


class Asked(NamedTuple):
    """``most`` bundles, of ``channel``, changed since ``since`` (UTC); an empty text asks for any.

    ``is_watched``: it is shown again every second.
    """

    most: int = USUAL
    channel: str = ""
    since: str = ""
    as_json: bool = False
    is_watched: bool = False

    @classmethod
    def typed(
        cls, most: int | None, channel: str, since: str, *, is_all: bool, as_json: bool, is_watched: bool
    ) -> "Asked":
        """From options as they were typed. ``--all``, and a moment alone, ask for any number. Raises UsageError."""
        from time import time

        from diode.console.human import since_of

        at = since_of(since, time()) if since else ""
        return cls(ALL if is_all else most or (ALL if since else USUAL), channel, at, as_json, is_watched)
