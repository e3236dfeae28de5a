"""Python's two loaders of pickles, which import nothing and write down what they would have done."""

import contextlib
import io
import pickle
import resource
from collections.abc import Iterator
from typing import Any, Final

ROOM_BYTES: Final = 512 << 20  # what a hostile stream may make a loader ask for


class _Recorded(type):
    """A class whose every use is written down, in whichever way a loader uses it."""

    module: str
    acts: list[tuple[str, str]]

    def __call__(cls, *_: Any) -> "_Recorded":
        return cls.wrote("call")

    def append(cls, _: Any) -> None:
        cls.wrote("append")

    def extend(cls, _: Any) -> None:
        cls.wrote("extend")

    def add(cls, _: Any) -> None:
        cls.wrote("add")

    def __setitem__(cls, *_: Any) -> None:
        cls.wrote("setitem")

    def __setstate__(cls, _: Any) -> None:
        cls.wrote("setstate")

    def wrote(cls, act: str) -> "_Recorded":
        cls.acts.append((cls.module, act))
        return cls


def _recorded(module: str, acts: list[tuple[str, str]]) -> _Recorded:
    def new(cls: _Recorded, *_: Any, **__: Any) -> _Recorded:
        return cls.wrote("new")

    return _Recorded("Imported", (), {"module": module, "acts": acts, "__new__": new})


class Journal:
    """What loaders did: the modules that they imported from, and how they acted on what came from each."""

    def __init__(self) -> None:
        self.imports: list[str] = []
        self.acts: list[tuple[str, str]] = []
        self.is_whole = False


def _methods(journal: Journal, *, is_persistent: bool) -> dict[str, Any]:
    def find_class(_: Any, module: str, name: str) -> Any:
        journal.imports.append(module)
        return _recorded(module, journal.acts)

    def persistent_load(_: Any, pid: Any) -> Any:
        if not is_persistent:
            raise pickle.UnpicklingError
        return object()

    return {"find_class": find_class, "persistent_load": persistent_load}


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """What a hostile file makes a loader ask for is refused by the kernel, and not taken from others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm", encoding="ascii") as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def load(data: bytes) -> Journal:
    """Let both loaders read stream after stream, with persistent ids and without; all that any of them did."""
    journal = Journal()
    for base in (pickle.Unpickler, pickle._Unpickler):
        for is_persistent in (False, True):
            loader = type("Loader", (base,), _methods(journal, is_persistent=is_persistent))
            file = io.BytesIO(data)
            with contextlib.suppress(Exception), bounded_memory():
                while True:
                    loader(file, encoding="latin-1", buffers=None).load()
                    journal.is_whole = True
            if is_persistent:
                continue
            file = io.BytesIO(data)
            with contextlib.suppress(Exception), bounded_memory():  # one that keeps its memo
                same = loader(file, encoding="latin-1")
                while True:
                    same.load()
    return journal
