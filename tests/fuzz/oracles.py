"""Reference loaders, held against what `diode.content` says of the same bytes. None of them runs anything here.

Each oracle takes a file's bytes and what was said of them, and returns what is wrong, in words; None: they agree, or
the loader does not take the file. "Sound" means that no problem was named.
"""

import functools
import io
import json
import os
import pickle
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from typing import Any, Final

import numpy as np

from diode.content import gguf, safetensors, zips
from diode.content.examine import Examined
from diode.content.kinds import PURE
from diode.content.loader import WELL_KNOWN
from diode.content.reader import Reader
from diode.content.trouble import UnsoundError

Oracle = Callable[[bytes, Examined], str | None]
MAX_STREAMS: Final = 8  # of pickles in one file
MAX_MEMBERS: Final = 64
MAX_MEMBER_BYTES: Final = 1 << 20
BUDGET_BYTES: Final = 1 << 28


def of_safetensors(data: bytes, found: Examined) -> str | None:
    """Names, types, shapes and bytes are the same."""
    from safetensors import deserialize

    try:
        theirs = {name: (t["dtype"], list(t["shape"]), bytes(t["data"])) for name, t in deserialize(data)}  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - whatever it raises: it does not take the file
        return None
    if found.problem:
        return None
    if found.kind != "safetensors":
        return f"it loads {len(theirs)} tensors of a sound {found.kind}"
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = safetensors.tensors_of(Reader(io.BytesIO(data), len(data), BUDGET_BYTES))
    ours = {t.name: (t.dtype, t.shape, data[begin + t.begin : begin + t.end]) for t in tensors}
    return None if theirs == ours else f"other tensors: {theirs!r:.300} and {ours!r:.300}"


def of_gguf(data: bytes, found: Examined) -> str | None:
    """Names, types, shapes and bytes are the same, and so many keys."""
    if not data.startswith(b"GGUF"):
        return None
    from gguf import GGUFReader

    with tempfile.NamedTemporaryFile(prefix="diode-fuzz-") as file:
        file.write(data)
        file.flush()
        try:
            loaded = GGUFReader(file.name)
            theirs = {t.name: (int(t.tensor_type), t.shape.tolist(), t.data.tobytes()) for t in loaded.tensors}
        except Exception:  # noqa: BLE001
            return None
    if found.problem:
        return None
    if found.kind != "gguf":
        return f"it loads {len(theirs)} tensors of a sound {found.kind}"
    layout = gguf.layout_of(Reader(io.BytesIO(data), len(data), BUDGET_BYTES))
    ours = {t.name: (t.kind, t.shape, data[t.begin : t.end]) for t in layout.tensors}
    keys = len(loaded.fields) - 3  # its own: the version and two counts
    if layout.pairs != keys:
        return f"{keys} keys and {layout.pairs}"
    return None if theirs == ours else f"other tensors: {theirs!r:.300} and {ours!r:.300}"


def of_npy(data: bytes, found: Examined) -> str | None:
    """What numpy would unpickle is refused; what it loads plainly is called an array."""
    try:
        array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        is_pickled = "Object arrays cannot be loaded" in str(error)
        return f"it would unpickle a sound {found.kind}" if is_pickled and not found.problem else None
    except Exception:  # noqa: BLE001
        return None
    if found.problem or found.kind == "npy":
        return None
    return f"it loads an array of {array.dtype} from a sound {found.kind}"


class _RanError(Exception):
    """A pickle has come to where it runs something."""


class _NameOfPickle(type):
    """Stands for whatever a pickle names. Whoever calls it, makes one of it or sets its state is told."""

    def __call__(cls, *arguments: object, **named: object) -> Any:
        raise _RanError

    def __setstate__(cls, state: object) -> None:
        raise _RanError


class _Named(metaclass=_NameOfPickle):
    def __new__(cls, *arguments: object, **named: object) -> Any:
        raise _RanError

    def __reduce_ex__(self, protocol: object) -> Any:
        raise _RanError


@functools.cache
def _may_be_there(name: str) -> bool:
    """Whether a module of that name is on this machine, or likely on one that loads models. Nothing is imported."""
    first, *rest = name.split(".")
    if first in WELL_KNOWN:
        return True
    spec = PathFinder.find_spec(first)
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return False
        spec = PathFinder.find_spec(f"{spec.name}.{part}", list(spec.submodule_search_locations))
    return spec is not None


class _Recorder(pickle._Unpickler):  # the one in Python: its memo is a dict, not a table
    """Loads as a loader does, but nothing is imported and nothing is called."""

    def find_class(self, module: str, name: str) -> Any:
        if not module or not name:
            raise AttributeError(name)  # as every module would
        if not _may_be_there(module):
            raise ModuleNotFoundError(module)
        return _Named

    def get_extension(self, code: int) -> None:
        raise ValueError(code)  # as loaders do where nobody registered it

    def persistent_load(self, pid: object) -> Any:
        return pid  # what a loader has by that name is its own; nothing of it is the file's


def of_pickle(data: bytes, found: Examined) -> str | None:
    """What would run something is refused, in the first stream or a later one."""
    file = io.BytesIO(data)
    try:
        for _ in range(MAX_STREAMS):
            _Recorder(file).load()
    except _RanError:
        return None if found.problem else f"it runs something in a sound {found.kind}"
    except Exception:  # noqa: BLE001
        return None
    return None


def of_zip(data: bytes, found: Examined) -> str | None:
    """The same members with the same bytes, and none at all in what is something else."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            theirs = [(info.filename, info.file_size) for info in infos]
            contents = list(_contents_of_zip(archive, infos))
    except Exception:  # noqa: BLE001
        return None
    if found.problem or not theirs:
        return None
    if found.kind in PURE:
        return f"it opens {theirs!r:.200} in a sound {found.kind}"
    if found.kind != "zip" or not hasattr(zips, "read_directory"):
        return None
    try:
        members = zips.read_directory(Reader(io.BytesIO(data), len(data), BUDGET_BYTES))
    except UnsoundError:
        return None  # which `examine` with an allowance says, too
    ours = [(member.name, member.size) for member in members]
    if sorted(ours) != sorted(theirs):
        return f"other members: {theirs!r:.200} and {ours!r:.200}"
    by_name = {member.name: _unpacked(data, member) for member in members}
    for info, content in contents:
        if content is not None and by_name[info.filename] not in (content, None):
            return f"another content of {info.filename!r}"
    return None


def _contents_of_zip(
    archive: zipfile.ZipFile, infos: list[zipfile.ZipInfo]
) -> Iterator[tuple[zipfile.ZipInfo, bytes | None]]:
    for info in infos[:MAX_MEMBERS]:
        try:
            with archive.open(info) as file:
                yield info, file.read(MAX_MEMBER_BYTES)
        except Exception:  # noqa: BLE001
            yield info, None


def _unpacked(data: bytes, member: Any) -> bytes | None:
    packed = data[member.begin : member.begin + member.packed]
    if member.method == 0:
        return packed[:MAX_MEMBER_BYTES]
    if member.method != zipfile.ZIP_DEFLATED:
        return None
    try:
        return zlib.decompressobj(-15).decompress(packed, MAX_MEMBER_BYTES)
    except zlib.error:
        return None


def of_tar(data: bytes, found: Examined) -> str | None:
    """None is found in what is something else."""
    if found.problem or found.kind not in PURE:
        return None
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
            names = archive.getnames()
    except Exception:  # noqa: BLE001
        return None
    return f"it opens {names!r:.200} in a sound {found.kind}" if names else None


def of_json(data: bytes, found: Examined) -> str | None:
    """What is loaded as an object or a list is called so. Other encodings than UTF-8 are no texts here."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    if found.problem or not isinstance(value, dict | list) or found.kind == "json":
        return None
    return f"it loads a {type(value).__name__} from a sound {found.kind}"


def of_onnx(data: bytes, found: Examined) -> str | None:
    """Data of tensors lie beside the model, or it is refused."""
    import onnx
    from onnx.external_data_helper import _get_all_tensors

    try:
        model = onnx.load_from_string(data)
        places = [
            entry.value for tensor in _get_all_tensors(model) for entry in tensor.external_data
            if entry.key == "location"
        ]  # fmt: skip
    except Exception:  # noqa: BLE001
        return None
    if found.problem:
        return None
    outside = [place for place in places if os.path.isabs(place) or ".." in place.replace("\\", "/").split("/")]
    if outside:
        return f"it reads {outside!r:.100} for a sound {found.kind}"
    has_graph = bool(model.graph.node or model.graph.initializer) and model.ir_version > 0
    return f"it loads a model from a sound {found.kind}" if has_graph and found.kind != "onnx" else None


def of_sentencepiece(data: bytes, found: Examined) -> str | None:
    """As many pieces, and none with a score in what is something else. Nearly any text is a message of some kind."""
    from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]  # made when it is loaded

    if found.problem:
        return None
    try:
        model = ModelProto.FromString(data)
    except Exception:  # noqa: BLE001
        return None
    pieces = len(model.pieces)
    if found.kind != "sentencepiece":
        scored = sum(bool(piece.piece) and piece.HasField("score") for piece in model.pieces)
        return f"it loads {scored} pieces from a sound {found.kind}" if scored and found.kind in PURE else None
    return None if pieces == found.facts["pieces"] else f"{pieces} pieces and {found.facts['pieces']}"


ORACLES: Final[dict[str, Oracle]] = {
    "safetensors": of_safetensors,
    "gguf": of_gguf,
    "npy": of_npy,
    "pickle": of_pickle,
    "zip": of_zip,
    "tar": of_tar,
    "json": of_json,
    "onnx": of_onnx,
    "sentencepiece": of_sentencepiece,
}
np.seterr(all="ignore")
