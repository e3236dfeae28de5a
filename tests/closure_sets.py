"""Sets of packages, images and models that are whole, made from a seed; and one thing that can be taken out of each.

A set is files by path. What :func:`tests.closure_sets.make` gives beside them says, by how the set was made and not by
looking at it, which file can go and who then misses what.
"""

import hashlib
import io
import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, NamedTuple

from diode.config.closure import Closure
from sender.closure.check import look
from sender.closure.missing import Report
from tests.packages import tar_gz, tgz, wheel

PYTHONS: Final = (
    {"python": "3.11", "platform": "x86_64-manylinux_2_28"},
    {"python": "3.12", "platform": "aarch64-manylinux_2_28"},
    {"python": "3.11", "platform": "x86_64-unknown-linux-musl"},
)
WHEEL_TAGS: Final = (
    "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
    "cp312-cp312-manylinux_2_28_aarch64",
    "cp311-cp311-musllinux_1_1_x86_64",
)
NODES: Final = (
    {"os": "linux", "cpu": "x64", "libc": "glibc"},
    {"os": "linux", "cpu": "arm64", "libc": "glibc"},
    {"os": "linux", "cpu": "x64", "libc": "musl"},
)
NODE_WORDS: Final = ("linux-x64-gnu", "linux-arm64-gnu", "linux-x64-musl")
PLATFORMS: Final = ("linux/amd64", "linux/arm64", "linux/s390x")
DEBIANS: Final = ("amd64", "arm64", "riscv64")

BACKEND: Final = """
import pathlib
import zipfile


def build_wheel(folder, settings=None, metadata=None):
    text = pathlib.Path("PKG-INFO").read_text()
    name, version = (line.partition(": ")[2] for line in text.splitlines()[1:3])
    module = name.replace("-", "_")
    info, wheel = f"{module}-{version}.dist-info", f"{module}-{version}-py3-none-any.whl"
    files = {f"{module}/__init__.py": f"V = {version!r}\\n", f"{info}/METADATA": text}
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: builder\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(pathlib.Path(folder, wheel), "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return wheel
"""


class MemoryFile(NamedTuple):
    path: str
    size: int
    sha256: str


@dataclass
class MemoryFiles:
    """Files in memory, as :class:`diode.layouts.files.Files`."""

    content: dict[str, bytes]

    def table(self) -> Iterable[MemoryFile]:
        return [self._told(path) for path in sorted(self.content)]

    def get(self, path: str) -> MemoryFile | None:
        return self._told(path) if path in self.content else None

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self.content[path])

    def read(self, path: str, most: int) -> bytes:
        return self.content[path]

    def _told(self, path: str) -> MemoryFile:
        data = self.content[path]
        return MemoryFile(path, len(data), hashlib.sha256(data).hexdigest())


@dataclass
class Made:
    """A whole set. ``out``: paths that go, ``name``: what is then missing, ``targets``: who misses it."""

    settings: dict[str, Any]
    files: dict[str, bytes]
    out: tuple[str, ...]
    name: str
    targets: tuple[int, ...] = (0, 1, 2)
    roots: tuple[str, ...] = ()
    name_of_item: str = "item"
    instead: str = ""  # what stands in the place of what goes


def judge(settings: dict[str, Any], files: dict[str, bytes], name: str = "item", **more: Any) -> Report:
    """What is missing of these files."""
    return look(Closure.model_validate(settings), name, MemoryFiles(files), lambda: None, **more)


def without(made: Made) -> dict[str, bytes]:
    """The files of a set but what goes, with what stands in its place."""
    less = {path: data for path, data in made.files.items() if path not in made.out}
    return less | ({made.out[0]: made.instead.encode()} if made.instead else {})


def python_set(rng: random.Random, *, takes: str = "wheel") -> Made:
    """A tree of projects in several versions, compiled ones, markers, a source archive. ``takes``: wheel or build."""
    count = rng.randint(4, 9)
    names = [f"p{number}-{rng.randrange(1000)}" for number in range(count)]
    files: dict[str, bytes] = {}
    parents = {number: rng.randrange(number) for number in range(1, count)}
    compiled = rng.randrange(1, count)
    source = rng.choice([number for number in range(1, count) if number != compiled])
    low = [rng.randint(1, 5) for _ in names]
    out: dict[int, list[tuple[str, tuple[int, ...]]]] = {number: [] for number in range(count)}
    for number, name in enumerate(names):
        needs = [f"{names[child]}>={low[child]}" for child, parent in parents.items() if parent == number]
        needs += ["colorama; sys_platform == 'win32'", "never; python_version < '3.8'", "more; extra == 'all'"]
        rng.shuffle(needs)
        version = f"{low[number]}.{rng.randrange(9)}"
        if number == source:
            made = sdist(name, version, tuple(needs), build=("builder>=1",))
            files |= made
            out[number].append((next(iter(made)), (0, 1, 2)))
            continue
        if number and rng.random() < 0.5:  # an older one, which nothing takes
            files |= wheel(name, "0.1", ("gone-for-ever",))
        tags = WHEEL_TAGS if number == compiled else ("py3-none-any",)
        for place, tag in enumerate(tags):
            made = wheel(name, version, tuple(needs), tag=tag)
            files |= made
            out[number].append((next(iter(made)), (place,) if number == compiled else (0, 1, 2)))
    files |= wheel("builder", "1.5", ("helper",), content=BACKEND) | wheel("helper", "2.0")
    settings = {"pypi": PYTHONS}
    roots = (names[0],)
    if takes == "build":
        gone = rng.choice(["builder-1.5-py3-none-any.whl", "helper-2.0-py3-none-any.whl"])
        return Made(settings, files, (gone,), gone.partition("-")[0], roots=roots)
    number = rng.randrange(1, count)
    path, targets = rng.choice(out[number])
    return Made(settings, files, (path,), names[number], targets, roots)


def sdist(name: str, version: str, needs: tuple[str, ...] = (), build: tuple[str, ...] = ()) -> dict[str, bytes]:
    """A source archive whose metadata say what it needs."""
    folder = f"{name.replace('-', '_')}-{version}"
    lines = "".join(f"Requires-Dist: {need}\n" for need in needs)
    text = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n{lines}\n"
    project = f"[build-system]\nrequires = {json.dumps(list(build))}\nbuild-backend = 'builder'\n"
    content = {f"{folder}/PKG-INFO": text.encode(), f"{folder}/pyproject.toml": project.encode()}
    return {f"{folder}.tar.gz": tar_gz(content)}


def node_set(rng: random.Random) -> Made:
    """Packages that depend on one another in ranges, with compiled parts for each platform."""
    count = rng.randint(4, 9)
    names = [rng.choice(["", "@org/"]) + f"n{number}-{rng.randrange(1000)}" for number in range(count)]
    versions = [f"{rng.randint(1, 4)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}" for _ in names]
    parents = {number: rng.randrange(number) for number in range(1, count)}
    native = names[rng.randrange(count)].lstrip("@").replace("/", "-")
    files: dict[str, bytes] = {}
    out: list[tuple[str, str, tuple[int, ...]]] = []
    for number, name in enumerate(names):
        needs: dict[str, str] = {}
        for child, parent in parents.items():
            if parent == number:
                major = versions[child].partition(".")[0]
                spec = rng.choice(
                    [f"^{major}.0.0", f"{major}.x", f">={major} <{int(major) + 1}", f"~{versions[child]}"]
                )
                needs[names[child]] = spec
        fields: dict[str, Any] = {"dependencies": needs, "devDependencies": {"never": "1"}}
        if name.lstrip("@").replace("/", "-") == native:
            fields["optionalDependencies"] = {f"@native/{word}": "1.0.0" for word in (*NODE_WORDS, "darwin-arm64")}
        if needs and rng.random() < 0.3:
            fields["peerDependencies"] = dict([needs.popitem()])
        made = tgz(name, versions[number], **fields)
        files |= made
        if number:
            out.append((next(iter(made)), name, (0, 1, 2)))
    for place, word in enumerate(NODE_WORDS):
        target = NODES[place]
        made = tgz(f"@native/{word}", "1.0.0", os=[target["os"]], cpu=[target["cpu"]], libc=[target["libc"]])
        files |= made
        out.append((next(iter(made)), f"@native/{word}", (place,)))
    path, name, targets = rng.choice(out)
    return Made({"npm": NODES}, files, (path,), name, targets, (names[0],))


def image_set(rng: random.Random) -> Made:
    """A layout with one index of four platforms, of which one is not asked for and may be absent; and a signature."""
    blobs: dict[str, bytes] = {}

    def blob(data: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{digest}"] = data
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}

    oci = "application/vnd.oci.image"
    base = blob(rng.randbytes(40), f"{oci}.layer.v1.tar+gzip")
    listed, layers = [], []
    for place, platform in enumerate((*PLATFORMS, "linux/ppc64le")):
        system, processor = platform.split("/")
        own = [blob(rng.randbytes(30), f"{oci}.layer.v1.tar+gzip") for _ in range(rng.randint(1, 3))]
        config = blob(json.dumps({"os": system, "architecture": processor}).encode(), f"{oci}.config.v1+json")
        said = {"schemaVersion": 2, "mediaType": f"{oci}.manifest.v1+json", "config": config, "layers": [base, *own]}
        entry = blob(json.dumps(said).encode(), f"{oci}.manifest.v1+json")
        listed.append(entry | {"platform": {"os": system, "architecture": processor}})
        if place < len(PLATFORMS):
            layers += [*own, config, base, entry]
        else:
            for part in (*own, config, entry):
                del blobs[f"blobs/sha256/{part['digest'][7:]}"]
    index = {"schemaVersion": 2, "mediaType": f"{oci}.index.v1+json", "manifests": listed}
    top = blob(json.dumps(index).encode(), f"{oci}.index.v1+json")
    signature = {"schemaVersion": 2, "mediaType": f"{oci}.manifest.v1+json", "layers": [base], "subject": top}
    signed = blob(json.dumps(signature).encode(), f"{oci}.manifest.v1+json")
    named = top | {"annotations": {"org.opencontainers.image.ref.name": "box:1"}}
    files = blobs | {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}'}
    files["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [named, signed]}).encode()
    gone = rng.choice([*layers, top])
    return Made({"oci": PLATFORMS}, files, (f"blobs/sha256/{gone['digest'][7:]}",), gone["digest"], ())


def debian_set(rng: random.Random) -> Made:
    """A repository of three architectures, with versions, alternatives and virtual packages."""
    count = rng.randint(4, 9)
    names = [f"d{number}-{rng.randrange(1000)}" for number in range(count)]
    versions = [rng.choice(["1.0-1", "1:0.5~rc1-2", "2.0+dfsg-1", "10.1"]) for _ in names]
    parents = {number: rng.randrange(number) for number in range(1, count)}
    virtual = rng.randrange(1, count)
    gone, files = rng.randrange(1, count), {}
    place, how = rng.randrange(3), rng.choice(["entry", "file"])
    for number, architecture in enumerate(DEBIANS):
        paragraphs = []
        for one, name in enumerate(names):
            needs = [_relation(rng, names[c], versions[c], c == virtual) for c, p in parents.items() if p == one]
            path, data = f"pool/{name}_{architecture}.deb", f"{name} {architecture}".encode()
            files[path] = data
            text = f"Package: {name}\nVersion: {versions[one]}\nArchitecture: {architecture}\n"
            text += f"Depends: {', '.join(needs)}\n" if needs else ""
            text += "Provides: mail-agent (= 3.0)\n" if one == virtual else ""
            digest = hashlib.sha256(data).hexdigest()
            paragraphs.append(f"{text}Filename: {path}\nSize: {len(data)}\nSHA256: {digest}\nDescription: x\n more\n")
        files[f"dists/stable/main/binary-{architecture}/Packages"] = "\n".join(paragraphs).encode()
        if number == place and how == "entry":
            del paragraphs[gone]
            files["without"] = "\n".join(paragraphs).encode()
    settings = {"apt": [{"suite": "stable", "architecture": architecture} for architecture in DEBIANS]}
    index = f"dists/stable/main/binary-{DEBIANS[place]}/Packages"
    without = files.pop("without", b"")
    if how == "file":
        return Made(settings, files, (f"pool/{names[gone]}_{DEBIANS[place]}.deb",), names[gone], (place,))
    named = "mail-agent" if gone == virtual else names[gone]
    return Made(settings, files, (index,), named, (place,), instead=without.decode())


def _relation(rng: random.Random, name: str, version: str, is_virtual: bool) -> str:
    if is_virtual:
        return rng.choice(["mail-agent", "mail-agent (>= 2)", "mail-agent | nothing-else"])
    return rng.choice([name, f"{name} (>= {version})", f"{name} (= {version}) | not-there", f"{name} (>> 0.1~)"])


def model_set(rng: random.Random) -> Made:
    """An adapter with shards; its base model lies in a folder of the hub's cache."""
    base = f"org{rng.randrange(100)}/base-{rng.randrange(100)}"
    shards = [f"model-{number + 1:05}-of-00003.safetensors" for number in range(3)]
    weights = {f"layer.{number}": shards[number % 3] for number in range(9)}
    config = rng.choice(["adapter_config.json", "sub/config.json"])
    key = "base_model_name_or_path" if config.startswith("adapter") else "tokenizer_name"
    folder = f"models--{base.replace('/', '--')}/snapshots/main"
    files = {config: json.dumps({key: base, "r": 0.5}).encode()} | dict.fromkeys(shards, b"x")
    files["model.safetensors.index.json"] = json.dumps({"metadata": {}, "weight_map": weights}).encode()
    files |= {f"{folder}/config.json": b"{}", f"{folder}/model.safetensors": b"y"}
    if rng.random() < 0.5:
        return Made({"hf": True}, files, (rng.choice(shards),), "model-0", ())
    return Made({"hf": True}, files, tuple(path for path in files if path.startswith("models--")), base, ())


KINDS: Final[dict[str, Callable[[random.Random], Made]]] = {
    "wheel": python_set,
    "build": lambda rng: python_set(rng, takes="build"),
    "layer": image_set,
    "apt": debian_set,
    "npm": node_set,
    "base": model_set,
}
