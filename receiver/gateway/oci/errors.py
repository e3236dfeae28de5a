"""What clients of OCI are told when something cannot be had: docker, podman and skopeo print the sentence in the body.

containerd asks by HEAD, so that it sees no body: it prints the reason phrase.
"""

from collections.abc import Mapping
from typing import Any, Final

from receiver.catalogue.snapshot import Listed
from receiver.gateway.answers import Answer, json_answer, why_recalled

API_VERSION: Final = {"Docker-Distribution-Api-Version": "registry/2.0"}


def refusal(status: int, code: str, message: str, headers: Mapping[str, str] | None = None, **rest: Any) -> Answer:
    """An error in the form of the OCI distribution specification."""
    body = {"errors": [{"code": code, "message": message, "detail": message}]}
    return json_answer(body, status, headers={**API_VERSION, **(headers or {})}, **rest)


def recalled(code: str, what: str, bundle: Listed) -> Answer:
    """What only recalled bundles hold."""
    why = why_recalled(bundle)
    return refusal(410, code, f"{what} cannot be had any more. {why}", reason=why, of=bundle)


def unknown(code: str, message: str) -> Answer:
    """What nobody holds."""
    return refusal(404, code, message)
