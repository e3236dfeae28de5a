"""Strict check of ONNX files: one protocol buffer message.

Its tensors may lie in other files, but only of the same item. Source: onnx.proto. A loader follows ``location`` of
external data, and published attacks used paths out of the folder.
"""

import re
from typing import Final

from diode.content.protobuf import BYTES, VARINT, Field, Walker
from diode.content.reader import Reader
from diode.content.trouble import Trouble, UnsoundError

MAX_DEPTH: Final = 64  # of messages within messages; parsers stop at 100
MAX_LOCATION_BYTES: Final = 4096
MAX_VERSION: Final = 1 << 31
_IR_VERSION, _GRAPH = 1, 7
_OF_GRAPHS: Final = (1, 5, 11, 12, 15)  # nodes, tensors, inputs, outputs
_KEYS: Final = ("location", "offset", "length", "checksum", "basepath")  # others became attributes of loaders' objects
_KEY, _VALUE = 1, 2
_MAX_VALUES_OF_ENTRY: Final = 100  # one is lawful

# message: {field: message} on the ways that lead to tensors; a test holds it against the library's own description
MESSAGES: Final[dict[str, dict[int, str]]] = {
    "ModelProto": {7: "GraphProto", 20: "TrainingInfoProto", 25: "FunctionProto"},
    "GraphProto": {1: "NodeProto", 5: "TensorProto", 15: "SparseTensorProto"},
    "NodeProto": {5: "AttributeProto"},
    "AttributeProto": {
        5: "TensorProto",
        6: "GraphProto",
        10: "TensorProto",
        11: "GraphProto",
        22: "SparseTensorProto",
        23: "SparseTensorProto",
    },
    "SparseTensorProto": {1: "TensorProto", 2: "TensorProto"},
    "TrainingInfoProto": {1: "GraphProto", 2: "GraphProto"},
    "FunctionProto": {7: "NodeProto", 11: "AttributeProto"},
    "TensorProto": {13: "StringStringEntryProto"},
}
# what leaves a folder on any system, or means something else than a file to a runtime
_OUTSIDE: Final = re.compile(r"(^|/)\.\.?(/|$)|^/|/$|//|[\x00-\x1f\x7f-\x9f\\:*?\"<>|]|[. ](/|$)|^$")


def looks_so(reader: Reader) -> bool:
    """Whether the whole file is one message with a graph, or with a version and something like a graph.

    Raises UnsoundError when it has more fields than are examined.
    """
    walker, has_version, has_graph, has_part = Walker(reader), False, False, False
    try:
        for field in walker.fields(0, reader.size):
            has_version |= (field.number, field.wire) == (_IR_VERSION, VARINT) and 0 < field.value < MAX_VERSION
            if field.wire == BYTES and field.number in MESSAGES["ModelProto"]:
                has_part = True
                has_graph |= field.number == _GRAPH and _holds_nodes(walker, field)
    except UnsoundError as error:
        if error.trouble is Trouble.BUDGET:
            raise
        return False
    return has_graph or (has_version and has_part)


def _holds_nodes(walker: Walker, graph: Field) -> bool:
    return any(part.wire == BYTES and part.number in _OF_GRAPHS for part in walker.fields(graph.begin, graph.end))


def lint(reader: Reader) -> dict[str, int | str]:
    """Check the file, and return facts about it. Raises UnsoundError, which says what is wrong."""
    found = _Lint(reader)
    found.walk("ModelProto", 0, reader.size, 0)
    return {"nodes": found.nodes, "tensors": found.tensors, "external": found.external}


class _Lint:
    def __init__(self, reader: Reader) -> None:
        self.nodes = self.tensors = self.external = 0
        self._walker = Walker(reader)

    def walk(self, message: str, begin: int, end: int, depth: int) -> None:
        """Every tensor below this message."""
        if depth > MAX_DEPTH:
            raise UnsoundError(f"more than {MAX_DEPTH} messages within each other")
        self.nodes += message == "NodeProto"
        self.tensors += message == "TensorProto"
        if message == "StringStringEntryProto":
            self._check_entry(begin, end)
            return
        below = MESSAGES[message]
        for field in self._walker.fields(begin, end):
            if depth == 0 and (field.number, field.wire) == (_IR_VERSION, BYTES):
                raise UnsoundError("it has pieces of a tokenizer where its version belongs", Trouble.POLYGLOT)
            if field.wire == BYTES and field.number in below:
                self.walk(below[field.number], field.begin, field.end, depth + 1)

    def _check_entry(self, begin: int, end: int) -> None:
        """One statement about external data. Given twice, its last key and value count; here all do."""
        keys, values = set[str](), set[str]()
        for field in self._walker.fields(begin, end):
            if field.wire == BYTES and field.number in (_KEY, _VALUE):
                (keys if field.number == _KEY else values).add(self._text(field))
            if not keys.issubset(_KEYS) or len(values) > _MAX_VALUES_OF_ENTRY:
                raise UnsoundError(f"external data with the keys {sorted(keys)!r:.80} and {len(values)} values")
        if keys & {"offset", "length"} and not all(value.isascii() and value.isdecimal() for value in values):
            raise UnsoundError(f"external data whose offset or length is {sorted(values)!r:.80}")
        if keys & {"location", "basepath"}:
            self.external += "location" in keys
            for value in values:
                if _OUTSIDE.search(value) and (value or "location" in keys):
                    raise UnsoundError(f"a tensor lies in {value[:80]!r}, which is no file beside it")

    def _text(self, field: Field) -> str:
        return self._walker.bytes_of(field, MAX_LOCATION_BYTES).decode(errors="backslashreplace")
