"""What the hub's clients are refused, in the words that they understand.

A client decides by ``X-Error-Code``. Of all answers to what was recalled, ``RevisionNotFound`` alone makes every
version of the library fail when it has the files already. It passes over the others, and uses its cache silently.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import Answer, json_answer, why_recalled

Code = Literal["RepoNotFound", "RevisionNotFound", "EntryNotFound", ""]
MOST_SHOWN: Final = 200  # characters of what a client asked for


class _Asked(Protocol):
    @property
    def bundle(self) -> Listed:
        """What it was found in."""

    @property
    def commit(self) -> str:
        """Its commit."""


@dataclass(frozen=True)
class NotServedError(Exception):
    """``said`` is in ASCII: it goes into a header, too."""

    status: int
    code: Code
    said: str
    reason: str = ""
    commit: str = ""
    of: Listed | None = None


def refusal(error: NotServedError) -> Answer:
    """The answer that says it."""
    headers = {"X-Error-Message": error.said}
    if error.code:
        headers["X-Error-Code"] = error.code
    if error.commit:
        headers["X-Repo-Commit"] = error.commit
    if error.status == 405:
        headers["Allow"] = "GET, HEAD"
    return json_answer({"error": error.said}, error.status, headers=headers, reason=error.reason, of=error.of)


def no_way(method: str) -> NotServedError:
    """Nothing can be changed from here."""
    return NotServedError(405, "", f"{_plain(method)}: this hub can be read, and not written")


def no_address(segments: tuple[str, ...]) -> NotServedError:
    """The hub has no such address here. Of spaces there are none."""
    code: Code = "RepoNotFound" if "spaces" in segments[:2] else ""
    return NotServedError(404, code, f"/{_plain('/'.join(segments))}: there is nothing of the hub here")


def no_repository(name: str) -> NotServedError:
    """Nobody here holds that name."""
    return NotServedError(404, "RepoNotFound", f"{_plain(name)} is not here")


def no_revision(name: str, why: str) -> NotServedError:
    """The repository is here, and that revision is not."""
    return NotServedError(404, "RevisionNotFound", f"{_plain(name)}: {why}")


def no_entry(path: str, asked: _Asked) -> NotServedError:
    """The revision is here, and has no such file."""
    said = f"{_plain(path)} is not in version {_plain(asked.bundle.version)}"
    return NotServedError(404, "EntryNotFound", said, commit=asked.commit, of=asked.bundle)


def not_servable(bundle: Listed) -> NotServedError:
    """It was published, and is recalled or removed."""
    if bundle.state == "recalled":
        why = why_recalled(bundle)
        return NotServedError(410, "RevisionNotFound", why, why, of=bundle)
    said = f"version {_plain(bundle.version)} was removed here to make room"
    return NotServedError(404, "RevisionNotFound", said, of=bundle)


def bad_question(why: str) -> NotServedError:
    """What was posted cannot be read."""
    return NotServedError(400, "", why)


def _plain(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MOST_SHOWN]
