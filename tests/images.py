"""Container images made by hand: layouts whose digests a test knows."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
REF_NAME: Final = "org.opencontainers.image.ref.name"
WHOLE_NAME: Final = "io.containerd.image.name"
Described = dict[str, Any]


def digest_of(data: bytes) -> str:
    """As OCI writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Mapping[str, str | bytes]) -> bytes:
    """A tar that is the same each time."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in sorted(files.items()):
            data = content.encode() if isinstance(content, str) else content
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            archive.addfile(member, io.BytesIO(data))
    return made.getvalue()


@dataclass
class ImageLayout:
    """One layout, to be written into a bundle. ``named``: descriptors of its ``index.json``."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    named: list[Described] = field(default_factory=list)

    def blob(self, data: bytes, media_type: str, **rest: Any) -> Described:
        """Add a blob; gives its descriptor."""
        self.blobs[digest_of(data)] = data
        return {"mediaType": media_type, "digest": digest_of(data), "size": len(data), **rest}

    def layer(self, files: Mapping[str, str]) -> tuple[Described, str]:
        """Add a layer; gives its descriptor and the digest of its tar."""
        tar = tar_of(files)
        return self.blob(gzip.compress(tar, mtime=0), LAYER), digest_of(tar)

    def image(self, *layers: Mapping[str, str], architecture: str = "amd64", **rest: Any) -> Described:
        """Add an image of these layers; gives the descriptor of its manifest."""
        made = [self.layer(files) for files in layers]
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/none"]},
            "rootfs": {"type": "layers", "diff_ids": [diff for _, diff in made]},
        }
        parts = {
            "config": self.blob(json.dumps(config).encode(), CONFIG),
            "layers": [one for one, _ in made],
        }
        said = {"schemaVersion": 2, "mediaType": MANIFEST, **parts, **rest}
        platform = {"architecture": architecture, "os": "linux"}
        return self.blob(json.dumps(said).encode(), MANIFEST, platform=platform)

    def index(self, *manifests: Described) -> Described:
        """Add an index of manifests."""
        said = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests)}
        return self.blob(json.dumps(said).encode(), INDEX)

    def name(self, one: Described, ref: str = "", whole: str = "") -> str:
        """List a manifest in ``index.json``; gives its digest."""
        annotations = {key: value for key, value in ((REF_NAME, ref), (WHOLE_NAME, whole)) if value}
        rest = {key: value for key, value in one.items() if key != "platform"}
        self.named.append({**rest, **({"annotations": annotations} if annotations else {})})
        return str(one["digest"])

    def files(self, folder: str = "") -> dict[str, bytes | str]:
        """The layout's files."""
        blobs = {f"{folder}blobs/sha256/{key.removeprefix('sha256:')}": data for key, data in self.blobs.items()}
        index = {"schemaVersion": 2, "manifests": self.named}
        return {
            f"{folder}oci-layout": '{"imageLayoutVersion": "1.0.0"}',
            f"{folder}index.json": json.dumps(index),
            **blobs,
        }


def one_image(ref: str = "", whole: str = "", **files: str) -> tuple[dict[str, bytes | str], str]:
    """A layout with one image of one layer, and its digest."""
    layout = ImageLayout()
    digest = layout.name(layout.image(files or {"a": "1"}), ref, whole)
    return layout.files(), digest
