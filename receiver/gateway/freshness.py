"""Entity tags and conditional requests: what may be answered by 304.

There is no Last-Modified anywhere, and If-Modified-Since is ignored: a resend or a rollback would make them lie. An
entity tag is the digest of the content. It is compared weakly, since proxies weaken it.
"""

from collections.abc import Mapping
from typing import Final

from diode.formats.digest import digest
from receiver.gateway.answers import Answer, BundleFile

CACHE_CONTROL: Final = "no-cache"  # kept by clients, and asked about each time


def etag_of(answer: Answer) -> str:
    """The entity tag of an answer's body, quoted."""
    if answer.etag:
        return f'"{answer.etag}"'
    if isinstance(answer.body, BundleFile):
        return f'"{answer.body.file.sha256}"'
    return f'"{digest(answer.body).hex()}"'


def is_unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has what it asks for already."""
    given = headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/") for tag in given.split(",")]
    return "*" in tags or etag in tags


def may_range(headers: Mapping[str, str], etag: str) -> bool:
    """Whether a Range counts: If-Range, where it is given, must name the content that is here now."""
    wanted = headers.get("if-range")
    return wanted is None or wanted == etag
