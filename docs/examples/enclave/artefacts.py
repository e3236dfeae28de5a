"""Makes one small artefact of each kind: model, Python and npm package, MCP server, apt repository, image.

Only Python's own library is needed.

``python3 artefacts.py FOLDER VERSION`` writes ``FOLDER/CHANNEL/NAME@VERSION/``, as an outbox wants it.
"""

import base64
import gzip
import hashlib
import io
import json
import struct
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

WHEEL_DATE: Final = (2026, 11, 1, 0, 0, 0)
SERVER: Final = '''"""A server of the Model Context Protocol over standard input and output, with one tool."""

import json
import sys

TOOL = {
    "name": "greet",
    "description": "Greets somebody",
    "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
}


def result_of(asked):
    """What a request is answered."""
    method = asked.get("method")
    if method == "initialize":
        version = asked["params"].get("protocolVersion", "2025-06-18")
        said = {"name": "acme-mcp", "version": "VERSION"}
        return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": said}
    if method == "tools/list":
        return {"tools": [TOOL]}
    if method == "tools/call":
        name = asked["params"]["arguments"]["name"]
        return {"content": [{"type": "text", "text": f"hello, {name}, from VERSION"}]}
    return {}


def main():
    """Answer until the client is gone."""
    for line in sys.stdin:
        asked = json.loads(line)
        if "id" in asked:
            print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result_of(asked)}), flush=True)
'''


def make_all(folder: Path, version: str) -> list[str]:
    """Write all of them below ``folder``. Returns ``CHANNEL/NAME`` of each."""
    made = {
        "models/acme--tiny": model(version),
        "python/acme-tool": {f"acme_tool-{version}-py3-none-any.whl": tool_wheel(version)},
        "npm/acme-hello": {f"acme-hello-{version}.tgz": npm_package(version)},
        "images/acme-box": image(version),
        "mcp/acme-mcp": {"server.json": server_json(version)},
        "python/acme-mcp": {f"acme_mcp-{version}-py3-none-any.whl": server_wheel(version)},
        "apt/acme": apt_repository(version),
    }
    for label, files in made.items():
        place = folder / f"{label}@{version}"
        for path, content in files.items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            (place / path).write_bytes(content)
    return list(made)


def as_json(value: Any) -> bytes:
    """JSON, with a newline."""
    return json.dumps(value, indent=1).encode() + b"\n"


def model(version: str) -> Mapping[str, bytes]:
    """A model that AutoConfig and AutoTokenizer load; its one tensor says which version it is."""
    major = int(version.split(".", maxsplit=1)[0])
    header = json.dumps({"weight": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}}).encode()
    vocabulary = {"[UNK]": 0, "hello": 1, "world": 2}
    tokenizer: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    return {
        "README.md": f"# Tiny, version {version}\n".encode(),
        "config.json": as_json({"model_type": "bert", "vocab_size": 3, "hidden_size": 8, "num_attention_heads": 2}),
        "model.safetensors": struct.pack("<Q", len(header)) + header + bytes([major]) * 64,
        "source.json": as_json(
            {"format": "diode-source-1", "kind": "model", "name": "acme/tiny", "uploaded": "2026-10-01T00:00:00Z"}
        ),
        "tokenizer.json": as_json(tokenizer),
        "tokenizer_config.json": as_json({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]"}),
    }


def wheel(name: str, version: str, files: Mapping[str, str], script: str) -> bytes:
    """A wheel with one console script, ``script``: ``command = module:function``."""
    info = f"{name}-{version}.dist-info"
    public = name.replace("_", "-")
    all_files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {public}\nVersion: {version}\nRequires-Python: >=3.8\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: example\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{script}\n",
    }
    record = "".join(f"{path},sha256={_record_digest(text)},{len(text.encode())}\n" for path, text in all_files.items())
    all_files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in all_files.items():
            archive.writestr(zipfile.ZipInfo(path, WHEEL_DATE), text)
    return written.getvalue()


def _record_digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def tool_wheel(version: str) -> bytes:
    """A package with a command that prints its version."""
    code = f'"""A tool."""\n\n\ndef main():\n    """Say which version this is."""\n    print("acme-tool {version}")\n'
    return wheel("acme_tool", version, {"acme_tool.py": code}, "acme-tool = acme_tool:main")


def server_wheel(version: str) -> bytes:
    """A package whose command is an MCP server."""
    return wheel("acme_mcp", version, {"acme_mcp.py": SERVER.replace("VERSION", version)}, "acme-mcp = acme_mcp:main")


def server_json(version: str) -> bytes:
    """What a registry of MCP servers says of it."""
    package = {
        "registryType": "pypi",
        "registryBaseUrl": "https://pypi.org",
        "identifier": "acme-mcp",
        "version": version,
        "transport": {"type": "stdio"},
    }
    schema = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
    said = {"name": "com.example/acme-mcp", "description": "Greets somebody", "version": version}
    return as_json({"$schema": schema, **said, "packages": [package]})


def tar_of(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """An uncompressed tar archive, the same each time."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), (modes or {}).get(path, 0o644)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()


def npm_package(version: str) -> bytes:
    """A package with a command that prints its version."""
    said = {"name": "acme-hello", "version": version, "bin": {"acme-hello": "hello.js"}, "license": "MIT"}
    script = f'#!/usr/bin/env node\nconsole.log("acme-hello {version}");\n'.encode()
    files = {"package/package.json": as_json(said), "package/hello.js": script}
    return gzip.compress(tar_of(files, {"package/hello.js": 0o755}), mtime=0)


def image(version: str) -> Mapping[str, bytes]:
    """An OCI layout with one image of one layer."""
    tar = tar_of({"hello.txt": f"hello from {version}\n".encode()})
    layer = gzip.compress(tar, mtime=0)
    config = as_json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"version": version}},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}"]},
        }
    )
    of_image = "application/vnd.oci.image"
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": f"{of_image}.manifest.v1+json",
            "config": _descriptor(f"{of_image}.config.v1+json", config),
            "layers": [_descriptor(f"{of_image}.layer.v1.tar+gzip", layer)],
        }
    )
    entry = _descriptor(f"{of_image}.manifest.v1+json", manifest) | {
        "annotations": {"org.opencontainers.image.ref.name": f"acme/box:{version}"}
    }
    blobs = {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": blob for blob in (layer, config, manifest)}
    index = as_json({"schemaVersion": 2, "mediaType": f"{of_image}.index.v1+json", "manifests": [entry]})
    return {"oci-layout": as_json({"imageLayoutVersion": "1.0.0"}), "index.json": index, **blobs}


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}


def deb(version: str) -> bytes:
    """A Debian package that holds one text file."""
    control = (
        f"Package: acme-notes\nVersion: {version}\nArchitecture: all\nMaintainer: Acme <acme@example.com>\n"
        "Description: notes of Acme\n"
    )
    data = {"./usr/share/acme/notes.txt": f"notes {version}\n".encode()}
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": gzip.compress(tar_of({"./control": control.encode()}), mtime=0),
        "data.tar.gz": gzip.compress(tar_of(data), mtime=0),
    }
    written = b"!<arch>\n"
    for name, content in members.items():
        written += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        written += content + b"\n" * (len(content) % 2)
    return written


def apt_repository(version: str) -> Mapping[str, bytes]:
    """A repository with one package, not signed: a real one has an InRelease of its maker's."""
    package = deb(version)
    path = f"pool/acme-notes_{version}_all.deb"
    packages = (
        f"Package: acme-notes\nVersion: {version}\nArchitecture: all\nMaintainer: Acme <acme@example.com>\n"
        f"Filename: {path}\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n"
        "Description: notes of Acme\n\n"
    ).encode()
    indexes = {
        f"main/binary-{arch}/Packages{end}": content
        for arch in ("amd64", "arm64", "all")
        for end, content in (("", packages), (".gz", gzip.compress(packages, mtime=0)))
    }
    sums = "".join(f" {hashlib.sha256(c).hexdigest()} {len(c)} {name}\n" for name, c in sorted(indexes.items()))
    release = (
        "Origin: Acme\nLabel: Acme\nSuite: stable\nCodename: stable\nArchitectures: amd64 arm64 all\n"
        f"Components: main\nDate: Sun, 01 Nov 2026 00:00:00 UTC\nAcquire-By-Hash: yes\nSHA256:\n{sums}"
    ).encode()
    below = {f"dists/stable/{name}": content for name, content in indexes.items()}
    return {path: package, "dists/stable/Release": release, **below}


if __name__ == "__main__":
    print("\n".join(make_all(Path(sys.argv[1]), sys.argv[2])))
