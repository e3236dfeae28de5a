"""Finds pickles by their content, and tells whether unpickling would run code. Nothing here is ever unpickled.

The opcodes of a stream are followed as Python's two loaders would follow them (``steps``), with the kinds of the values
that they would hold (``loader``). The bytes are read once from front to back (``opcodes``). A file may hold several
streams, as torch's old format does; all are followed.
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
    """Whether a loader of pickles would accept the file's first bytes. The ``item`` holds the file as ``path``.

    True for a stream that would run code, and for a plain pickle that announces its protocol or ends with the file.
    Raises UnsoundError when following it took too long.
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
    """Whether a file has a name that pickles have."""
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
