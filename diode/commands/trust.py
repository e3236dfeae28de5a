"""The work of ``diode sign``, ``inspect``, ``verify`` and ``trust``: what people do with signatures, offline."""

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from diode.bundle.manifest import PAYLOAD_TYPE, bundle_id
from diode.bundle.ref import BundleRef
from diode.console.progress import Display, choose_mode
from diode.console.prompts import confirm, print_fields
from diode.console.terminal import say, say_json
from diode.console.trust_tables import show_document
from diode.errors import IntegrityError, ManifestError, UsageError
from diode.formats.canonical import canonical
from diode.formats.dsse import read_envelope, seal, write_envelope
from diode.formats.names import MAX_MANIFEST_BYTES
from diode.formats.signers import Envelope
from diode.formats.timestamps import now_utc
from diode.storage.durable import read_bounded, write_durably
from diode.storage.folder import Folder
from diode.trust.document import MAX_TRUST_BYTES, TRUST_TYPE, build_document, open_first, read_document
from diode.trust.inspection import attested, describe, find_envelope, inspect, read_sealed
from diode.trust.keys import read_any_signer, read_public_key, read_trusted
from diode.trust.published import examine, misplaced
from diode.trust.roles import Trust


@dataclass(frozen=True, slots=True)
class Believed:
    """Whose signatures a check accepts: keys in a folder or a trust document, optionally a receiver's service key."""

    signers: Path | None
    document: Path | None
    service_key: Path | None

    def trust(self) -> Trust:
        """Who may sign what. Raises UsageError unless exactly one of folder and document is given."""
        if (self.signers is None) == (self.document is None):
            raise UsageError("give either --signers DIR or --trust FILE: whom to believe")
        if self.signers is not None:
            return read_trusted(self.signers)
        assert self.document is not None
        return open_first(_read(self.document, MAX_TRUST_BYTES), now_utc()).trust


def sign(path: Path, key: str, public: Path | None, *, yes: bool) -> None:
    """Show a manifest or a trust document that was carried here, and add a signature to it."""
    envelope, most = _read_signable(path)
    _show(envelope)
    signer = read_any_signer(key, public)
    confirm(f"sign it with key {signer.public_key.keyid[:16]}?", yes=yes)
    envelope.sign(signer)
    write_durably(path, write_envelope(envelope, most))
    say(f"{path}: signatures: {len(envelope.signatures)}", file=sys.stderr)


def inspect_bundle(path: Path, *, as_json: bool) -> None:
    """Show what a manifest says. Nothing is verified."""
    found = inspect(read_sealed(find_envelope(path)))
    fields = describe(found.manifest, found.number)
    statement = attested(found.manifest)
    if as_json:
        say_json({**fields, "signed_by": list(found.key_ids), "attestation": statement})
        return
    print_fields(fields)
    say("signed by (not verified): " + (", ".join(found.key_ids) or "nobody"))
    if statement:
        say_json(statement.get("predicate"), indent=1)


def verify_bundle(path: Path, believed: Believed, label: str | None, *, as_json: bool, quiet: bool) -> None:
    """Check a published folder: signatures, label, every byte of data and sidecars, and that nothing else is there."""
    trust = believed.trust()
    service_key = believed.service_key
    key = None if service_key is None else read_public_key(service_key)
    display = Display(choose_mode(as_json=as_json, quiet=quiet))
    done = 0

    def progress(count: int) -> None:
        nonlocal done
        done += count
        display.update(str(path), done, done, "", {"path": str(path)})

    with _published(path) as folder:
        try:
            found = examine(folder, trust, key, progress)
        finally:
            display.close()
        manifest, findings = found.opened.manifest, list(found.findings)
        if wrong := misplaced(folder, found.opened, label):
            findings.insert(0, wrong)
        owner = os.fstat(folder.fd).st_uid
    people = ", ".join(f"{s.person} ({s.key_id[:16]})" for s in found.opened.signatures)
    verified = f"{manifest.files.entries} files, BLAKE3 and SHA-256 as they lie there; signed by {people}"
    if as_json:
        ref = BundleRef.of_manifest(manifest, bundle_id(found.opened.payload))
        facts = {"label": ref.label, "bundle": ref.hex_id, "owner": owner}
        say_json({"verified": None if findings else verified, **facts, "findings": findings, "notes": found.notes})
    else:
        say(f"signed as: {manifest.label}", f"owner: user {owner}", *(f"note: {note}" for note in found.notes))
    for finding in findings:
        say(f"finding: {finding}", file=sys.stderr)
    if findings:
        raise IntegrityError(f"{manifest.label} is not as it was published: {findings[0]}; findings: {len(findings)}")
    if not as_json:
        say(f"verified: {verified}")


def _published(path: Path) -> Folder:
    try:
        return Folder.open(path)
    except OSError as error:
        raise UsageError(f"{path} is no published folder: {error.strerror}") from error


def build(source: Path, out: Path) -> None:
    """Write the trust document that a TOML file describes. Its root then signs it: diode sign OUT --key KEY."""
    if out.exists():
        raise UsageError(f"{out} exists already; nothing was changed")
    document = build_document(source, time.time())
    write_durably(out, seal(canonical(document.model_dump()), TRUST_TYPE, [], MAX_TRUST_BYTES))
    show_document(document)
    say(f"{out} is not signed yet: {document.root.threshold} of its root have to (diode sign)", file=sys.stderr)


def show(path: Path, *, as_json: bool) -> None:
    """Show a trust document, and whether enough people of its own root have signed it."""
    sealed = _read(path, MAX_TRUST_BYTES)
    document = read_document(sealed)
    if as_json:
        say_json(document.model_dump())
    else:
        show_document(document)
    open_first(sealed, now_utc())
    say("signed by enough of its own root", file=sys.stderr)


def _show(envelope: Envelope) -> None:
    sealed = canonical(envelope.to_dict())
    if envelope.payload_type == TRUST_TYPE:
        show_document(read_document(sealed))
        return
    found = inspect(sealed)
    print_fields(describe(found.manifest, found.number))


def _read_signable(path: Path) -> tuple[Envelope, int]:
    sealed = _read(path, MAX_TRUST_BYTES)
    for payload_type, most in ((PAYLOAD_TYPE, MAX_MANIFEST_BYTES), (TRUST_TYPE, MAX_TRUST_BYTES)):
        try:
            return read_envelope(sealed, payload_type, most), most
        except ManifestError:
            continue
    raise ManifestError(f"{path} is neither a manifest envelope nor a trust document; nothing was signed")


def _read(path: Path, most: int) -> bytes:
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
