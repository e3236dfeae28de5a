"""Values for the fields of audit log entries: who decided, why something was refused, which trust document counts.

Each function returns fields of :class:`diode.audit.chain.Entry`, ready to be passed to the log.
"""

import os
import pwd

from diode.errors import DiodeError


def ended(failure: DiodeError | None) -> dict[str, str]:
    """Fields of a ``stopped`` entry. Empty when the daemon ended in order; else they say which error ended it."""
    return {} if failure is None else why(failure)


def why(error: DiodeError | OSError) -> dict[str, str]:
    """Fields of an entry about a refusal: the error's reason as ``verdict``, and its message as ``detail``."""
    return {"verdict": error.reason if isinstance(error, DiodeError) else "failed", "detail": str(error)}


def trust_facts(version: int, of_document: str, how: str = "") -> dict[str, str]:
    """Fields of a ``trust_changed`` entry. ``of_document`` is the digest of the document without signatures."""
    return {"detail": f"trust document {version}, of this digest{how}", "digest": of_document}


def unix_user(uid: int | None = None) -> str:
    """The user that runs this process, or the one with this number, as entries name users: ``NAME:NUMBER``."""
    uid = os.geteuid() if uid is None else uid
    try:
        return f"{pwd.getpwuid(uid).pw_name}:{uid}"
    except KeyError:
        return f"?:{uid}"
