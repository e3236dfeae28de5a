"""What a protocol answers: bytes, a file of a bundle, a redirect, a refusal."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from receiver.catalogue.card import CardFile
from receiver.catalogue.snapshot import Listed

JSON: Final = "application/json"
BYTES: Final = "application/octet-stream"
TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file of a published bundle. Its ETag is its signed SHA-256."""

    bundle: Listed
    file: CardFile


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. HEAD is answered like GET, and the body left out.

    ``reason``: the reason phrase, which some clients show; empty: the usual one. ``is_moving``: the address may have
    another body later, so that a reader of ranges is kept on the bundle it began with. ``of``: the bundle that this is
    about, for the access log. ``etag``: empty: made from the body.
    """

    status: int = 200
    body: bytes | BundleFile = b""
    media_type: str = BYTES
    headers: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""
    is_moving: bool = False
    of: Listed | None = None
    etag: str = ""


def json_answer(value: Any, status: int = 200, media_type: str = JSON, **rest: Any) -> Answer:
    """JSON."""
    return Answer(status, json.dumps(value, ensure_ascii=False).encode(), media_type, **rest)


def text_answer(text: str, status: int = 200, **rest: Any) -> Answer:
    """Plain text."""
    return Answer(status, text.encode(), TEXT, **rest)


def file_answer(bundle: Listed, file: CardFile, media_type: str = BYTES, **rest: Any) -> Answer:
    """A file of a bundle, whole or in ranges."""
    return Answer(200, BundleFile(bundle, file), media_type, of=bundle, **rest)


def redirect(path: str, **rest: Any) -> Answer:
    """To an address that never moves: an absolute path, prefix included, with no scheme, no host and no dots."""
    headers = {"Location": path, **rest.pop("headers", {})}
    return Answer(307, b"", TEXT, headers=headers, **rest)


def why_recalled(bundle: Listed) -> str:
    """Why a bundle cannot be had any more, in one line of ASCII: it goes into a reason phrase, too."""
    said = f"Recalled {bundle.recalled[:10]}: {bundle.reason}"
    return " ".join("".join(c if " " <= c <= "~" else "?" for c in said).split())[:200]
