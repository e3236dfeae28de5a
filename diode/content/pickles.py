"""Pickles, found by content: what unpickling would run is code. Nothing here is ever unpickled.

A stream of opcodes is followed as Python's two loaders would (`steps`), with the kinds of the values that they would
hold (`loader`), read once from front to back (`opcodes`). Streams that follow each other are followed to the last, as
torch's old format has them.
"""

from typing import Final

from diode.content.item import Item
from diode.content.loader import DangerousError, Loader
from diode.content.opcodes import FIRST_WINDOW_BYTES, AmbiguousError, BrokenError, Opcodes
from diode.content.reader import Reader
from diode.content.steps import STEPS

MAX_OPCODES: Final = 1 << 21  # some seconds; of words one under the other any number
# Which names pickles have by custom: those of Python and its libraries of machine learning, which say no format
# (`.bin`, `.ckpt`), and those that numpy.load unpickles when they hold no array.
NAMES_OF_PICKLES: Final = (
    *(".cloudpickle", ".cpickle", ".dill", ".p", ".pck", ".pckl", ".pcl", ".pickle", ".pk", ".pkl", ".pkl2", ".sav"),
    *(".jbl", ".joblib", ".npy", ".npz"),
    *(".bin", ".ckpt", ".mar", ".pt", ".pt.tar", ".pt2", ".pth", ".pth.tar", ".ptl"),
)


def begins_pickle(reader: Reader, path: str, item: Item) -> bool:
    """Whether a loader of pickles would make something of a file's first bytes. The ``item`` holds it as ``path``.

    True for what would run code, and for a plain pickle that announces its protocol or ends with the file. Raises
    UnsoundError where looking at it took too long.
    """
    head = reader.head(FIRST_WINDOW_BYTES)
    if not head or STEPS[head[0]] is None:
        return False
    loader = Loader(Opcodes(reader, head), item.modules, is_named=is_named_so(path))
    try:
        _follow(loader)
    except (DangerousError, AmbiguousError):
        return True
    except BrokenError:
        pass
    return loader.is_plain_pickle()


def is_named_so(path: str) -> bool:
    """Whether a file's name is one that pickles have."""
    return path.lower().endswith(NAMES_OF_PICKLES)


def _follow(loader: Loader) -> None:
    """Go through streams until one breaks off. Raises DangerousError where a loader would act, or BrokenError."""
    byte = loader.opcodes.byte
    for _ in range(MAX_OPCODES):
        step = STEPS[byte()]
        if step is None:
            raise BrokenError
        step(loader)
    loader.give_up("opcodes")
