"""What identifies a bundle: its reference, and its names in the audit log, in a receipt, or beside a refusal."""

from typing import Any

from diode.bundle.manifest import bundle_id
from diode.bundle.opened import Opened
from diode.bundle.ref import BundleRef


def ref_of(opened: Opened) -> BundleRef:
    """The bundle of a verified manifest."""
    manifest = opened.manifest
    return BundleRef(bundle_id(opened.payload), manifest.channel, manifest.name, manifest.version)


def audit_names(opened: Opened) -> dict[str, str]:
    """A bundle as the audit log names it. Its digest is that of its files table, as in receipts and ledgers."""
    ref = ref_of(opened)
    place = {"channel": ref.channel, "name": ref.name, "version": ref.version}
    return {"bundle": ref.hex_id, **place, "digest": opened.manifest.content_digest}


def facts(opened: Opened) -> dict[str, Any]:
    """What a receipt, or the reason of a refusal, says of a bundle and its signers."""
    names = ("channel", "name", "version", "sequence", "created")
    return {name: getattr(opened.manifest, name) for name in names} | {"signer": opened.signer}
