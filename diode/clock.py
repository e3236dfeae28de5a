"""Times as manifests, trust documents and records have them: RFC 3339 in UTC, to the second; later ones sort later."""

import time


def moment(seconds: float) -> str:
    """Seconds since 1970 as text."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def now_utc() -> str:
    """Now, as text."""
    return moment(time.time())
