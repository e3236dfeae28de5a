"""Pickles, found by content: what unpickling would run is code. Nothing here is ever unpickled."""

import io
import pickletools
import re
from typing import Final

from diode.content.item import Item
from diode.content.reader import Reader

MAX_WINDOW_BYTES: Final = 1 << 20
MAX_WINDOWS: Final = 4096  # of a MiB, or of one odd line
MAX_OPCODES: Final = 10_000
MIN_HARMLESS_BYTES: Final = 16  # shorter ones that name nothing are as likely any two or three bytes
_MARK: Final = "mark"
# what can name or call something
_ACTS: Final = frozenset(
    [
        "GLOBAL",
        "STACK_GLOBAL",
        "INST",
        "OBJ",
        "NEWOBJ",
        "NEWOBJ_EX",
        "REDUCE",
        "BUILD",
        "EXT1",
        "EXT2",
        "EXT4",
        "PERSID",
        "BINPERSID",
    ]
)
_LINE: Final = re.compile(rb"(?:[ILF][ \t]*[-+.0-9iInN][^\n]{0,4000}|S['\"][^\n]{0,65536}|V[^\n]{0,65536})\n")
_LENGTHS: Final = {b"T": 4, b"X": 4, b"B": 4, b"\x8d": 8, b"\x8e": 8, b"\x96": 8}  # bytes of the length behind it
_STACK_EFFECTS: Final = {
    ord(op.code): (
        op.name,
        sum(item.name not in ("mark", "stackslice") for item in op.stack_before),
        any(item.name in ("mark", "stackslice") for item in op.stack_before),
        [item.name for item in op.stack_after],
    )
    for op in pickletools.opcodes
}


def begins_pickle(reader: Reader, path: str, item: Item) -> bool:  # noqa: ARG001 - names count soon
    """Whether a loader of pickles would make something of a file's first bytes. The ``item`` holds it as ``path``.

    Text may begin like a pickle of a trifle ("N. Smith"): that is none unless it announces its protocol, names or calls
    something, or ends with the file and is no trifle. Long texts inside are skipped, as a loader would read over them.
    """
    stack: list[str] = []
    acts = announced = False
    offset = count = 0
    for _ in range(MAX_WINDOWS):
        window = reader.at(offset, MAX_WINDOW_BYTES)
        stream, done = io.BytesIO(window), 0
        try:
            for op, _, position in pickletools.genops(stream):
                name, pops, to_mark, pushes = _STACK_EFFECTS[ord(op.code)]
                announced |= name == "PROTO" and offset == position == 0
                acts |= name in _ACTS
                if not _apply(stack, pops, to_mark, pushes):
                    return False
                done, count = stream.tell(), count + 1
                if name == "STOP":
                    return acts or announced or offset + done == reader.size >= MIN_HARMLESS_BYTES
                if count >= MAX_OPCODES:
                    return True  # no text goes on like that
        except Exception:  # noqa: BLE001 - pickletools raises anything on what is no pickle
            rest, at = window[done:], offset + done
            if behind := _behind_long_text(rest, at, reader.size) or _behind_line(rest, at):
                stack.append("any")
                offset, count = behind, count + 1
            elif done and offset + len(window) < reader.size:
                offset += done  # cut off by the window
            else:
                return False
    return True


def _behind_line(data: bytes, offset: int) -> int:
    """Where a number or text on a line ends that loaders take and pickletools does not; 0: it is none."""
    found = _LINE.match(data)
    return offset + found.end() if found else 0


def _behind_long_text(data: bytes, offset: int, size: int) -> int:
    """Where a text with a length in front ends that is longer than ``data``, which begins at ``offset``; 0: none."""
    width = _LENGTHS.get(data[:1], 0)
    length = int.from_bytes(data[1 : 1 + width], "little")
    end = offset + 1 + width + length
    return end if width and len(data) > width and length >= len(data) - 1 - width and end < size else 0


def _apply(stack: list[str], pops: int, to_mark: bool, pushes: list[str]) -> bool:
    """Change the stack as an opcode does; False where it lacks what the opcode takes."""
    if to_mark:
        if _MARK not in stack:
            return False
        while stack.pop() != _MARK:
            pass
    if len(stack) < pops:
        return False
    del stack[len(stack) - pops :]
    stack.extend(pushes)
    return True
