"""Pickles, found by content: what unpickling would run is code. Nothing here is ever unpickled."""

import io
import pickletools
from typing import Final

MAX_SCANNED_BYTES: Final = 1 << 20
MAX_OPCODES: Final = 10_000
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
_STACK_EFFECTS: Final = {
    ord(op.code): (
        op.name,
        sum(item.name not in ("mark", "stackslice") for item in op.stack_before),
        any(item.name in ("mark", "stackslice") for item in op.stack_before),
        [item.name for item in op.stack_after],
    )
    for op in pickletools.opcodes
}


def begins_pickle(head: bytes, *, is_whole: bool) -> bool:
    """Whether a loader of pickles would make something of these first bytes of a file (``is_whole``: all of them).

    Text may begin like a pickle of a trifle ("N. Smith"): that is none unless it announces its protocol, names or calls
    something, or ends with the file.
    """
    stack: list[str] = []
    acts = announced = False
    stream = io.BytesIO(head[:MAX_SCANNED_BYTES])
    try:
        for count, (op, _, position) in enumerate(pickletools.genops(stream)):
            name, pops, to_mark, pushes = _STACK_EFFECTS[ord(op.code)]
            announced |= name == "PROTO" and position == 0
            acts |= name in _ACTS
            if not _apply(stack, pops, to_mark, pushes):
                return False
            if count >= MAX_OPCODES:
                return acts or announced
            if name == "STOP":
                return acts or announced or (is_whole and stream.tell() == len(head))
    except Exception:  # noqa: BLE001 - pickletools raises anything on what is no pickle
        if len(head) < MAX_SCANNED_BYTES and is_whole:
            return False
        return stream.tell() >= len(head) and (acts or announced)  # cut off by our own limit
    return False


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
    return len(stack) < MAX_OPCODES
