"""Tells the kind of a file by its first bytes, its last bytes and its structure."""

import io
import re
from typing import Final

from diode.content import gguf, onnx, pictures, safetensors, sentencepiece, structure, texts, zips
from diode.content.archives.streams import SKIPPABLE
from diode.content.archives.tar_headers import BLOCK_BYTES, is_header
from diode.content.archives.trial import kind_by_trial
from diode.content.item import NOTHING_KNOWN, Item
from diode.content.pickles import begins_pickle
from diode.content.reader import Reader
from diode.content.words import PICTURES, TEXTS

HEAD_BYTES: Final = 1 << 20
BEGIN_BYTES: Final = 4096  # enough of it once the kind is known
_TRIAL_BUDGET_BYTES: Final = 16 << 20  # of what is read of the first bytes that come out of a stream

_MAGICS: Final = (
    (0, gguf.MAGIC, "gguf"),
    (0, b"\x7fELF", "elf"),
    (0, b"PK\x03\x04", "zip"),
    (0, zips.END_OF_ZIP, "zip"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"\x04\x22\x4d\x18", "lz4"),
    (0, b"\x02\x21\x4c\x18", "lz4"),
    (0, b"LZIP\x01", "lzip"),
    (0, b"\x89LZO\x00\r\n\x1a\n", "lzop"),
    (0, b"Rar!\x1a\x07", "rar"),
    (0, b"MSCF\x00\x00\x00\x00", "cab"),
    (0, b"xar!\x00", "xar"),
    (0, b"!<thin>\n", "ar"),
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
    (0, structure.HDF5, "hdf5"),
    (0, b"\xfe\xed\xfa\xce", "macho"),
    (0, b"\xfe\xed\xfa\xcf", "macho"),
    (0, b"\xce\xfa\xed\xfe", "macho"),
    (0, b"\xcf\xfa\xed\xfe", "macho"),
    (0, b"\x00asm", "wasm"),
    (0, b"#!", "script"),
    (257, b"ustar", "tar"),
    (0x8001, b"CD001", "iso"),
    (4, b"TFL3", "tflite"),
    (0, b"ARROW1\0\0", "arrow"),
)
# where a few bytes are as likely any text's or any random ones
_PATTERNS: Final = (
    (re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL), "gzip"),
    (re.compile(rb"BZh[1-9](?:1AY&SY|\x17rE8P\x90)"), "bzip2"),
    (re.compile(rb"\x1f\x9d[\x89-\x90]"), "compress"),
    (re.compile(rb"hsqs.{24}\x04\x00", re.DOTALL), "squashfs"),
    (re.compile(rb"07070(?:[12][0-9a-fA-F]{104}|7[0-7]{70})"), "cpio"),
    (SKIPPABLE, "zstd"),
    (re.compile(rb"[\x1e\x22-\x27]\xb5\x2f\xfd"), "zstd"),  # before its first version
)
_BY_FIRST_BYTE: Final = {
    first: tuple((magic, kind) for at, magic, kind in _MAGICS if at == 0 and magic[:1] == first)
    for first in {magic[:1] for _, magic, _ in _MAGICS}
}
_ELSEWHERE: Final = tuple(entry for entry in _MAGICS if entry[0])
_BEGIN_ANYHOW: Final = frozenset(kind for _, _, kind in _ELSEWHERE)

# of which readers of archives must not be able to make something else; other kinds may hold archives lawfully
PURE: Final = PICTURES | TEXTS | {"safetensors", "gguf", "npy", "pdf", "onnx", "sentencepiece", "tflite", "pyc"}


def kind_of(reader: Reader, head: bytes, path: str, item: Item) -> str:
    """The kind as one lower-case word. ``head``: the first HEAD_BYTES of the file, which ``item`` holds as ``path``."""
    if not head:
        return "empty"
    if safetensors.looks_so(reader, head):
        return "safetensors"  # asked first: a header's length may spell any short magic
    if is_header(head[:BLOCK_BYTES]):
        return "tar"
    if kind := maybe_kind_by_magic(head):
        if kind in _BEGIN_ANYHOW and (stream := kind_by_trial(head, _is_loaded)):
            return stream  # whose loader does not look that far
        return _kind_of_zip(reader) if kind == "zip" else kind
    if kind := structure.maybe_kind(reader, head) or pictures.kind_of(reader, head):
        return kind
    if begins_pickle(reader, path, item):
        return "pickle"
    return kind_by_trial(head, _is_loaded) or texts.kind_of(reader, head) or _kind_of_binary(reader, head)


def maybe_kind_by_magic(head: bytes) -> str | None:
    """The kind that the first bytes alone tell; None when they do not."""
    for magic, kind in _BY_FIRST_BYTE.get(head[:1], ()):
        if head.startswith(magic):
            return kind
    for pattern, kind in _PATTERNS:
        if pattern.match(head):
            return kind
    for offset, magic, kind in _ELSEWHERE:
        if head.startswith(magic, offset):
            return kind
    return None


def _is_loaded(head: bytes) -> bool:
    """Whether a loader would accept a file that begins like this."""
    if maybe_kind_by_magic(head) or is_header(head[:BLOCK_BYTES]):
        return True
    return begins_pickle(Reader(io.BytesIO(head), len(head), _TRIAL_BUDGET_BYTES), "", NOTHING_KNOWN)


def _kind_of_zip(reader: Reader) -> str:
    return "pytorch" if zips.is_of_torch(reader) else "zip"


def _kind_of_binary(reader: Reader, head: bytes) -> str:
    """What no mark tells. Readers of archives do not care what stands before one."""
    if sentencepiece.looks_so(reader, head):
        return "sentencepiece"
    if onnx.looks_so(reader):
        return "onnx"
    if structure.holds_hdf5(reader, head):
        return "hdf5"
    return _kind_of_zip(reader) if zips.is_archive(reader) else "unknown"
