"""Facts of entries: who decided, why something was refused, and which trust document counts."""

import os
import pwd

from diode.errors import DiodeError


def ended(failure: DiodeError | None) -> dict[str, str]:
    """Facts of a daemon's ``stopped``: in order, or why not."""
    return {} if failure is None else why(failure)


def why(error: DiodeError | OSError) -> dict[str, str]:
    """Facts of a refusal: the reason, and what exactly."""
    return {"verdict": error.reason if isinstance(error, DiodeError) else "failed", "detail": str(error)}


def trust_facts(version: int, of_document: str, how: str = "") -> dict[str, str]:
    """Facts of ``trust_changed``: the digest is of the document itself, and tells it from any other."""
    return {"detail": f"trust document {version}, of this digest{how}", "digest": of_document}


def unix_user() -> str:
    """This process's user, as entries have it: name and number."""
    uid = os.geteuid()
    try:
        return f"{pwd.getpwuid(uid).pw_name}:{uid}"
    except KeyError:
        return f"?:{uid}"
