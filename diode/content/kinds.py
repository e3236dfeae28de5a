"""What a file is, by its first bytes, its last ones, and its structure."""

import re
from typing import Final

from diode.content import gguf, onnx, pictures, safetensors, sentencepiece, texts, zips
from diode.content.item import Item
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader

HEAD_BYTES: Final = 1 << 20
BEGIN_BYTES: Final = 4096  # enough of it once the kind is known

_MAGICS: Final = (
    (0, gguf.MAGIC, "gguf"),
    (0, b"\x7fELF", "elf"),
    (0, b"PK\x03\x04", "zip"),
    (0, zips.END_OF_ZIP, "zip"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"!<arch>\ndebian-binary", "deb"),
    (0, b"!<arch>\n", "ar"),
    (0, b"\xed\xab\xee\xdb", "rpm"),
    (0, b"%PDF-", "pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"GIF8", "gif"),
    (0, b"SQLite format 3\x00", "sqlite"),
    (0, b"\x93NUMPY", "npy"),
    (0, b"\x89HDF\r\n\x1a\n", "hdf5"),
    (0, b"\xfe\xed\xfa\xce", "macho"),
    (0, b"\xfe\xed\xfa\xcf", "macho"),
    (0, b"\xce\xfa\xed\xfe", "macho"),
    (0, b"\xcf\xfa\xed\xfe", "macho"),
    (0, b"\x00asm", "wasm"),
    (0, b"#!", "script"),
    (257, b"ustar", "tar"),
    (4, b"TFL3", "tflite"),
    (0, b"ARROW1\0\0", "arrow"),
)
_HDF5: Final = b"\x89HDF\r\n\x1a\n"
_LEAST_HDF5_OFFSET: Final = 512
_PARQUETS: Final = (b"PAR1", b"PARE")  # plain, or with an encrypted footer
_TAR_HEADER_BYTES: Final = 512
_TAR_CHECKSUM: Final = slice(148, 156)
_TAR_NUMBER: Final = re.compile(rb"[\x80\xff]|[\s\x1c-\x1f]*[+0-7]")

_OTHERS: Final = (
    "empty",
    "onnx",
    "parquet",
    "pe",
    "pickle",
    "pyc",
    "pytorch",
    "safetensors",
    "sentencepiece",
    "unknown",
)
KINDS: Final = frozenset({kind for _, _, kind in _MAGICS} | pictures.KINDS | texts.KINDS | set(_OTHERS))

# of which readers of archives must not be able to make something else; other kinds may hold archives lawfully
PURE: Final = (
    pictures.KINDS | texts.KINDS | {"safetensors", "gguf", "npy", "pdf", "onnx", "sentencepiece", "tflite", "pyc"}
)


def kind_of(reader: Reader, head: bytes, path: str, item: Item) -> str:
    """One lower-case word. ``head``: the first HEAD_BYTES of the file, which ``item`` holds as ``path``."""
    if not head:
        return "empty"
    if safetensors.looks_so(reader, head):
        return "safetensors"  # asked first: a header's length may spell any short magic
    for offset, magic, kind in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            return _kind_of_zip(reader) if kind == "zip" else kind
    if structured := _kind_by_structure(reader, head):
        return structured
    if begins_pickle(reader, path, item):
        return "pickle"
    return texts.kind_of(reader, head) or _kind_of_binary(reader, head)


def is_tar(head: bytes) -> bool:
    """Whether a reader of tar archives takes the first block for a member: all of them go by its checksum alone."""
    if len(head) < _TAR_HEADER_BYTES or not _TAR_NUMBER.match(head, _TAR_CHECKSUM.start):
        return False
    stated = _number_of_tar(head[_TAR_CHECKSUM])
    rest = head[: _TAR_CHECKSUM.start] + b" " * 8 + head[_TAR_CHECKSUM.stop : _TAR_HEADER_BYTES]
    unsigned = sum(rest)
    return stated in (unsigned, unsigned - 256 * sum(byte > 0x7F for byte in rest))


def holds_hdf5(reader: Reader, head: bytes) -> bool:
    """Whether a reader of HDF5 finds a file behind something else: it looks at 512, 1024, 2048 and so on."""
    at = _LEAST_HDF5_OFFSET
    while at < reader.size:
        mark = head[at : at + len(_HDF5)] if at + len(_HDF5) <= len(head) else reader.at(at, len(_HDF5))
        if mark == _HDF5:
            return True
        at *= 2
    return False


def _kind_by_structure(reader: Reader, head: bytes) -> str | None:
    """Kinds whose marks are too short to tell, and are made up for by what must fit."""
    if _is_pe(head):
        return "pe"
    if is_tar(head):
        return "tar"
    if head[:4] in _PARQUETS and _is_parquet(reader, head[:4]):
        return "parquet"
    return "pyc" if _is_pyc(head) else pictures.kind_of(reader, head)


def _number_of_tar(field: bytes) -> int | None:
    """As the most forgiving reader takes it; None: it is no number."""
    if field[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)
    except ValueError:
        return None


def _is_parquet(reader: Reader, mark: bytes) -> bool:
    tail = reader.tail(8)
    return tail[4:] == mark and int.from_bytes(tail[:4], "little") <= reader.size - 12


def _is_pyc(head: bytes) -> bool:
    """Compiled Python: a version, and behind 4 to 12 bytes more the code of a module, which takes no arguments."""
    version = int.from_bytes(head[:2], "little")
    if head[2:4] != b"\r\n" or not (2999 < version < 4000 or 50_000 < version < 63_000):
        return False
    return any(head[at : at + 1] in (b"c", b"\xe3") and head[at + 1 : at + 5] == bytes(4) for at in (8, 12, 16))


def _kind_of_zip(reader: Reader) -> str:
    return "pytorch" if zips.is_of_torch(reader) else "zip"


def _kind_of_binary(reader: Reader, head: bytes) -> str:
    """What no mark tells. Readers of archives do not care what stands before one."""
    if sentencepiece.looks_so(reader, head):
        return "sentencepiece"
    if onnx.looks_so(reader):
        return "onnx"
    if holds_hdf5(reader, head):
        return "hdf5"
    return _kind_of_zip(reader) if zips.is_archive(reader) else "unknown"


def _is_pe(head: bytes) -> bool:
    if head[:2] != b"MZ" or len(head) < 64:
        return False
    at = int.from_bytes(head[60:64], "little")
    return head[at : at + 4] == b"PE\x00\x00"
