"""The second receiver's other half, by docs/bundle-format.md alone: from a manifest and its parts to files."""

import base64
import hashlib
import json
import unicodedata
from dataclasses import dataclass, field
from typing import Any, Final

from blake3 import blake3
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

MANIFEST_TYPE: Final = "application/vnd.diode.manifest.v1+json"
PROFILES: Final = {"clean": (200, 10), "standard": (200, 20), "lossy": (192, 64), "extreme": (128, 128)}
DATA, OBJECT, FILES, SLABS = 1, 2, 1, 2
Signers = dict[str, Ed25519PublicKey]


class NotTakenError(Exception):
    """A manifest or table that is not taken."""


@dataclass
class Bundle:
    """A bundle whose manifest is verified. ``parts``: by (kind, flags), then by slab."""

    payload: bytes
    sealed: bytes
    manifest: dict[str, Any]
    parts: dict[tuple[int, int], dict[int, bytes]] = field(default_factory=dict)
    stored: set[int] = field(default_factory=set)  # slabs of the stream that were there before

    def size_of(self, kind: int, flags: int) -> int:
        """Bytes of a part."""
        if kind == DATA:
            return int(self.manifest["stream_bytes"])
        return int(self.manifest["files" if flags == FILES else "slabs"]["size"])

    def whole(self, kind: int, flags: int) -> bytes | None:
        """A part whose slabs are all there."""
        parts = self.parts.get((kind, flags), {})
        content = b"".join(parts[number] for number in sorted(parts))
        return content if len(content) == self.size_of(kind, flags) else None


def canonical(value: Any) -> bytes:
    """The one text of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signers_of(pems: list[str]) -> Signers:
    """Ed25519 keys by their derived ids."""
    found = {}
    for pem in pems:
        key = load_pem_public_key(pem.encode())
        assert isinstance(key, Ed25519PublicKey)
        raw = key.public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        text = f'{{"keytype":"ed25519","keyval":{{"public":"{raw}"}},"scheme":"ed25519"}}'
        found[hashlib.sha256(text.encode()).hexdigest()] = key
    return found


def open_manifest(sealed: bytes, signers: Signers, number: int) -> Bundle:
    """A bundle of this id, signed by one of the keys. Raises NotTakenError."""
    try:
        payload = _verified(sealed, signers)
        manifest = json.loads(payload)
        shape = manifest["shape"]
        is_right = canonical(manifest) == payload and manifest["format"] == "diode-bundle-1"
        is_right &= PROFILES[shape["profile"]] == (shape["k"], shape["r"])
        is_right &= number == (int.from_bytes(blake3(payload).digest()[:8], "big") or 1)
    except (ValueError, LookupError, TypeError):
        raise NotTakenError("manifest") from None
    if not is_right:
        raise NotTakenError("manifest")
    return Bundle(payload, sealed, manifest)


def _verified(sealed: bytes, signers: Signers) -> bytes:
    """Section "Envelope"."""
    envelope = json.loads(sealed.decode())
    if len(sealed) > 262144 or envelope["payloadType"] != MANIFEST_TYPE or len(envelope["signatures"]) > 64:
        raise NotTakenError("manifest")
    payload = base64.b64decode(envelope["payload"], validate=True)
    signed = b"DSSEv1 %d %s %d %s" % (len(MANIFEST_TYPE), MANIFEST_TYPE.encode(), len(payload), payload)
    for signature in envelope["signatures"]:
        key = signers.get(signature["keyid"])
        try:
            if key is not None:
                key.verify(base64.b64decode(signature["sig"], validate=True), signed)
                return payload
        except InvalidSignature:
            continue
    raise NotTakenError("trust")


def maybe_publish(bundle: Bundle) -> tuple[dict[str, bytes], set[str]] | None:
    """What is published, by path, and which of it is executable; None while something is missing.

    Slabs and tables that are not what was signed are taken out of ``bundle``: they are collected again.
    """
    for flags, name in ((FILES, "files"), (SLABS, "slabs")):
        table = bundle.whole(OBJECT, flags)
        if table is None:
            return None
        if blake3(table).hexdigest() != bundle.manifest[name]["blake3"]:
            del bundle.parts[OBJECT, flags]
            return None
    digests, data = bundle.whole(OBJECT, SLABS) or b"", bundle.parts.get((DATA, 0), {})
    for number in [n for n, part in data.items() if blake3(part).digest() != digests[32 * n : 32 * n + 32]]:
        del data[number]
    stream = bundle.whole(DATA, 0)
    return None if stream is None else _published(bundle, stream, bundle.whole(OBJECT, FILES) or b"")


def _published(bundle: Bundle, stream: bytes, table: bytes) -> tuple[dict[str, bytes], set[str]]:
    """Sections "Tables", "Paths" and "What is published"."""
    found, executable = {"manifest.json": bundle.payload, "manifest.dsse.json": bundle.sealed}, set()
    sums, offset, folded = {"SHA256SUMS": "", "B3SUMS": ""}, 0, set()
    lines = table.decode().split("\n")[:-1]
    for line in lines:
        entry = json.loads(line)
        path = entry["path"]
        form = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        steps = path.removesuffix("/").split("/")
        assert canonical(entry) == line.encode()
        assert form not in folded
        assert not {"", ".", ".."} & {*steps}
        folded.add(form)
        if path.endswith("/"):
            found[f"data/{path}"] = b""
            continue
        content = found[f"data/{path}"] = stream[offset : offset + entry["size"]]
        offset += entry["size"]
        assert blake3(content).hexdigest() == entry["blake3"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
        executable |= {f"data/{path}"} if entry.get("executable") else set()
        escaped = path.replace("\\", "\\\\")
        mark = "\\" if escaped != path else ""
        sums["SHA256SUMS"] += f"{mark}{entry['sha256']}  data/{escaped}\n"
        sums["B3SUMS"] += f"{mark}{entry['blake3']}  data/{escaped}\n"
    assert (offset, len(lines)) == (len(stream), bundle.manifest["files"]["entries"])
    return found | {name: text.encode() for name, text in sums.items()}, executable
