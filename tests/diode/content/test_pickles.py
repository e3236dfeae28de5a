"""Pickles are found by what a loader would run, wherever it breaks off; texts that begin like one are texts."""

import bisect
import io
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diode.content.examine import examine
from diode.content.item import Item
from diode.content.pickles import MAX_OPCODES
from diode.content.trouble import Trouble, UnsoundError
from tests.diode.content.pickling import Evil, refused
from tests.recording_loaders import load

ARTEFACTS = Path(__file__).parents[2] / "vectors" / "artefacts"


@pytest.mark.parametrize("path", sorted(ARTEFACTS.glob("*legacy*")) + sorted(ARTEFACTS.glob("*array.joblib")), ids=str)
def test_what_the_tools_write(path: Path) -> None:
    """Torch's old format is a chain of pickles, the first of them plain; joblib's arrays stand raw within one."""
    data = path.read_bytes()
    assert refused(data)
    assert refused(data, "README.md")
    assert refused(data + bytes(5000))


def test_joblib_of_today(tmp_path: Path) -> None:
    """Arrays, with text around them."""
    joblib = pytest.importorskip("joblib", reason="pip install joblib")
    numpy = pytest.importorskip("numpy")
    joblib.dump({"a": numpy.arange(40), "b": ["text"]}, tmp_path / "x")
    assert refused((tmp_path / "x").read_bytes())


CALL = b"cos\nsystem\n(S'x'\ntR"
LONG = b"x" * 70_000
CALLS = {
    "reduce": CALL,
    "obj": b"(cos\nsystem\nS'x'\no",
    "obj without a name that is known": b"(cfoo\nbar\nS'x'\no",
    "inst": b"(S'x'\nios\nsystem\n",
    "inst whose last line does not end": b"(S'x'\nios\nsystem!",
    "newobj": b"cos\nsystem\n)\x81",
    "newobj_ex": b"cos\nsystem\n)}\x92",
    "build": b"cos\nsystem\n}b",
    "append to what was imported": b"csys\npath\nS'x'\na",
    "set an item of what was imported": b"csys\nmodules\nS'x'\nNs",
    "stack_global": b"\x8c\x02os\x8c\x06system\x93)R",
    "stack_global by escapes": b"V\\u006fs\nVsystem\n\x93)R",
    "stack_global by the memo": b"Vos\nq\x00h\x00\x93)R",
    "a module that nobody knows, called with a tuple": b"cthirdparty\nfunction\n)R",
    "a module that nobody knows, made one of": b"cthird.party\nClass\n)\x81",
    "import alone, announced": b"\x80\x02cantigravity\nx\n",
    "import alone, announced late": b"N0\x80\x02cantigravity\nx\n",
    "called from the memo": b"cos\nsystem\np1\n0g1\n)R",
    "called from a memo of the earlier stream": b"cos\nsystem\np1\n.g1\n)R",
    "called twice over": b"cos\nsystem\n2)R",
    "integers": b"I0x1f\n0I 017\n0I\x0b\r5\n0I1_0\n0I01\n0I5 \n0I1\0text\n0" + CALL,
    "long integers": b"L5L\n0L-0b1\n0L\t5L\n0L1\0L\n0\x8a\x000\x8b\x00\x00\x00\x000" + CALL,
    "numbers": b"F1.5\n0F-inf\n0FNaN\n0F1e5\n0F .5 \n0F1_0.\n0F1.0\0text\n0" + CALL,
    "keys": b"Np 1\n0g+0_1\n0g01\x00text\n0" + CALL,
    "strings": b"S'a'b'\n0S\"a\"\n0S'\\x41\\''\n0" + CALL,
    "a number with a carriage return": b"I1\r\n0" + CALL,
    "lines end at a line feed only": b"Va\rb\x0bc\x0c\x85\n0" + CALL,
    "a long line": b"V" + LONG * 20 + b"\n0" + CALL,
    "a long number": b"I0x" + b"1" * 70_000 + b"\n0" + CALL,
    "a long string": b"S'" + LONG + b"'\n0" + CALL,
    "a long persistent id": b"P" + LONG + b"\n0" + CALL,
    "a long name": b"c" + LONG + b"\n" + LONG + b"\n0" + CALL,
    "many lines": b"Vword\n" * 100_000 + CALL,
    "a long text": b"X" + struct.pack("<I", 1 << 20) + bytes(1 << 20) + b"0" + CALL,
    "long bytes": b"\x8e" + struct.pack("<Q", 1 << 20) + bytes(1 << 20) + b"0" + CALL,
    "a frame that lies": b"\x95" + b"\xff" * 7 + b"\x7f" + CALL,
    "a frame that ends within a number": b"\x95" + struct.pack("<Q", 3) + b"G\0\0" + bytes(8) + b"0" + CALL,
    "a frame that ends within a line": b"\x95" + struct.pack("<Q", 3) + b"Iab" + b"1\n0" + CALL,
    "a frame that ends within a frame": b"\x95" + struct.pack("<Q", 11) + b"\x95" + struct.pack("<Q", 9) + b"G" + CALL,
    "a persistent id": b"P1\n0" + CALL,
    "a registered code": b"\x82\x010" + CALL,
    "buffers": b"\x970\x96" + struct.pack("<Q", 1) + b"a\x980" + CALL,
    "marks": b"(((110" + CALL,
    "a mark taken by pop": b"(0" + CALL,
    "a plain stream before": b"N." + CALL,
    "a plain stream before, announced": b"\x80\x02N.\x80\x02N." + CALL,
    "an announced persistent id that is called": b"\x80\x02Pid\n)R",
    "an announced persistent id that names a module": b"\x80\x05\x8c\x02osQ\x8c\x06system\x93)R",
    "a persistent id that names what is imported": b"\x80\x05\x8c\x02os\x8c\x06systemQ\x93)R",
    "values of an unknown module, written down twice": b"cthird.party\nf\nqq}qXb",
}


@pytest.mark.parametrize("stream", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("rest", [b"", b".", b"\xff", b"00000", b"garbage"], ids=repr)
def test_a_call_is_enough(stream: bytes, rest: bytes) -> None:
    """However the stream goes on: it ends, breaks off, has an opcode that nobody knows, takes what is not there."""
    assert refused(stream + rest)


BROKEN = {
    "what is called is no name": b"N)R",
    "nothing is called": b")R",
    "an argument that is none": b"cos\nsystem\nNR",
    "no class above the mark": b"cos\nsystem\n(o",
    "a plain value above the mark": b"(Ncos\nsystem\no",
    "no mark": b"S'x'\nios\nsystem\n",
    "a mark between": b"cos\nsystem\n(R",
    "a key that nobody wrote": b"g0\n" + CALL,
    "a negative key": b"Np-1\n" + CALL,
    "a negative length": b"\x8b\xff\xff\xff\xff" + CALL,
    "a negative length of text": b"T\xff\xff\xff\xff" + CALL,
    "a length beyond the file": b"\x8d" + b"\xff" * 8 + CALL,
    "a frame beyond all sizes": b"\x95" + b"\xff" * 8 + CALL,
    "no number": b"I08\n0" + CALL,
    "no number either": b"L1LL\n0" + CALL,
    "no quotes": b"Sx\n0" + CALL,
    "one quote": b"S'\n0" + CALL,
    "a protocol of the future": b"\x80\x06" + CALL,
    "no pairs": b"(Nd" + CALL,
    "an append to no list": b"}Na" + CALL,
    "names of no texts": b"NN\x93)R",
}


@pytest.mark.parametrize("stream", BROKEN.values(), ids=BROKEN)
def test_what_no_loader_runs(stream: bytes) -> None:
    """It fails before any call, in both loaders."""
    assert (False, []) == (refused(stream + b"\xff"), load(stream + b"\xff").acts)


NUMBERS = [
    *(
        "",
        " ",
        "1",
        "-1",
        "+1",
        "--1",
        "- 1",
        "01",
        "00",
        "010",
        "08",
        "0_1",
        "00_0",
        "1_0",
        "1__0",
        "_1",
        "1_",
        "0x",
        "0x1F",
    ),
    *(
        "0x_1",
        "0X1",
        "0o17",
        "0o_7",
        "0O8",
        "0b1",
        "0b2",
        "0B_1",
        "1L",
        "1LL",
        "1l",
        "L",
        "1 L",
        "1L ",
        "1.",
        ".5",
        ".",
    ),
    *(
        "1e5",
        "1E+5",
        "1e",
        "inf",
        "-Infinity",
        "nan",
        "+NaN",
        "nan(1)",
        "infinit",
        "1_0.5",
        "1_e5",
        "0x1p3",
        "1,5",
        "\0",
    ),
    *(
        "\0x",
        " \0",
        "1\0",
        "1\0x",
        "1 \0x",
        "0x\0",
        "1L\0",
        "1\0L",
        " 1",
        "\t1",
        "\v1",
        "\f1",
        "\r1",
        "1\r",
        "1\v ",
        "\x1c1",
    ),
    *("\x851", "\xa01", "1\x1c", "9" * 30, "-0", "-00", "0x-1", "I", "12a"),
]


@pytest.mark.parametrize("opcode", [b"I", b"L", b"F", b"Np", b"Np1\n0g"], ids=repr)
def test_numbers(opcode: bytes) -> None:
    """What either loader takes is taken."""
    for text in NUMBERS:
        front = opcode + text.encode("latin-1") + b"\n0"
        assert not load(front + CALL).acts or refused(front + CALL), text


TEXTS = [
    b"Pods\n.DS_Store\n",
    b"coverage\ndist\n.env\n",
    b"coverage\ndist\n.env",
    b"c a\nt h\n. .\n",
    b"cat\ndog\nNancy\nRome\n",
    b"cat\ndog\nVenus\nbanana\n",
    b"cat\ndog\nMonaco\n",
    b"c3\n1f\n2b\n2a\n",
    b"PATH\nPWD\nROOT\nbin\n",
    b"(c) 2020 A. Author\nAll rights reserved\nor not\n",
    b"(in the beginning\nthere was\n)\n",
    b"(Niels Bohr said so.)\nOr not.\nWho knows.\n",
    b"(Very good\nif you\nlike it\n",
    b"cat\ndog\n)bat\n",
    b"cat\ndog\n}a\n",
    b"cat\nW{\n)R\n",
    b"int main(\nvoid\n)Returns\n",
    b"N" * 20_000,
    b"I1\n" * 20_000,
    b"Verb\n" * 20_000,
    b"Q. What?\nA. That.\n",
    b"class A\n{\n};\n",
    b"char *s;\nint x;\n(void)y;\n",
    b"CHANGES\n=======\n",
    b"Given the above,\nN. Smith wrote it.\n",
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts(text: bytes) -> None:
    """Lists of files, words and merges, prose, sources."""
    found = examine(io.BytesIO(text), len(text), "notes.txt")
    assert ("text", None) == (found.kind, found.problem)


def test_persistent_ids_and_registered_codes_act_on_nothing() -> None:
    """Whatever they stand for, it is not of this file."""
    for stream in (b"P1\n.", b"NQ.", b"\x82\x01.", b"P1\n)R.", b"\x82\x01)R."):
        assert not refused(stream + b"\xff")


def test_an_import_alone() -> None:
    """It counts where something says that this is a pickle, or that the module is at hand."""
    stream = b"cevil\nx\n.more"
    assert not refused(stream)
    for name in ("a.pkl", "A.PKL", "pytorch_model.bin", "x.pt", "x.joblib", "x.pth.tar", "a.zip!archive/data.pkl"):
        assert refused(stream, name)
    for path in ("evil.py", "src/evil/a.py", "evil.pyc", "evil.cpython-311-x86_64-linux-gnu.so"):
        assert refused(stream, item=Item.of([path]))
        assert refused(b"(ievil\nx\n", item=Item.of([path]))
    assert not refused(stream, item=Item.of(["good.py", "evil.txt"]))
    assert not refused(b"c a\nt h\n. .\n", "merges.bin")  # no name that could be imported


def test_plain_pickles() -> None:
    """They run nothing, and yet are pickles."""
    for value in ([1, 2, 3, "text", None], {"weights": [0.5] * 5000}, 1):
        for protocol in range(2, 6):
            assert refused(pickle.dumps(value, protocol))
    assert refused(pickle.dumps(["some text", 1], 0))
    assert not refused(b"N.")
    assert not refused(b"\x80\x02N." + b"\xff" * 99)  # as likely a few random bytes


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
        | st.builds(bytearray, st.binary(max_size=9))
    ),
    max_leaves=12,
)


@settings(max_examples=60)
@given(before=VALUES, arguments=st.lists(VALUES, max_size=3), after=VALUES, protocol=st.integers(0, 5))
def test_every_pickle_of_an_object_is_refused(before: Any, arguments: list[Any], after: Any, protocol: int) -> None:
    """By every protocol, whatever stands around, and cut off anywhere once a loader has acted."""
    data = pickle.dumps([before, Evil(*arguments), after], protocol)
    assert refused(data)
    lengths = range(len(data))
    first = bisect.bisect_left(lengths, True, key=lambda length: bool(load(data[:length]).acts))
    for length in lengths[first:]:
        assert refused(data[:length])


# what it costs


ENDLESS = (b"(", b"N", b"I0x1\n0", b"N2", b"(1", b"Np0\n0", b"}", b"V\n0")


@pytest.mark.parametrize("piece", ENDLESS, ids=repr)
def test_memory_is_bounded(piece: bytes) -> None:
    """A few bytes for each opcode at most, and no byte is read anew."""
    data = piece * (50_000 // len(piece))
    tracemalloc.start()
    refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(data) + (2 << 20)


@pytest.mark.slow
@pytest.mark.parametrize("piece", ENDLESS, ids=repr)
def test_the_number_of_opcodes_is_bounded(piece: bytes) -> None:
    """What has announced itself is a pickle then; of others it is said that they are too long to tell."""
    data = piece * (MAX_OPCODES + 1)
    assert refused(b"\x80\x02" + data)
    troubles = set()
    try:
        assert refused(data)
    except UnsoundError as error:
        troubles.add(error.trouble)
    assert troubles <= {Trouble.BUDGET}


@pytest.mark.slow
def test_words_are_followed_to_their_end() -> None:
    """Words that a loader takes for texts or persistent ids, as many as one likes; a call behind them counts."""
    for word in (b"Vword\n", b"Pword\n"):
        data = word * 5_000_000
        assert not refused(data)
        assert refused(data + CALL)
