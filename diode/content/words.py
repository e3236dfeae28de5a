"""The names of the kinds of content, and which of them belong together. Who reads settings needs no parser for that."""

from typing import Final

PICTURES: Final = frozenset({"png", "jpeg", "gif", "webp", "bmp", "ico", "tiff"})
TEXTS: Final = frozenset({"text", "json", "svg"})
PROGRAMS: Final = frozenset({"script", "elf", "pe", "macho", "wasm", "pyc"})
COMPRESSED: Final = frozenset({"gzip", "bzip2", "xz", "lzma", "zstd", "lz4", "zlib"})  # one file each, unpacked
LOOKED_INTO: Final = frozenset({"zip", "tar", "ar", "deb"}) | COMPRESSED  # archives whose members are looked at
# archives, and files that hold others, whose members are not looked at: on neither side, whatever is installed
UNOPENED: Final = frozenset(
    {*("7z", "rpm", "hdf5", "rar", "cab", "cpio", "iso", "squashfs", "lzip", "lzop", "compress", "xar")}
)
_MODELS: Final = frozenset(
    {*("safetensors", "gguf", "onnx", "sentencepiece", "tflite", "npy", "arrow", "parquet", "pickle", "pytorch")}
)
KINDS: Final = (
    PICTURES | TEXTS | PROGRAMS | LOOKED_INTO | UNOPENED | _MODELS | {"pdf", "sqlite", "empty", "unknown"}
)  # all that there are; diode.content.kinds tells them apart
