"""Which files are loaded as the compiled core. What is not one is refused with its reason, and crashes nothing."""

from pathlib import Path

import pytest

from diode.core.library import ABI, load_from
from tests.diode.core.stubs import stub

_MACHINE_AT, _AARCH64 = 18, 183


def test_a_library_of_this_interface_is_loaded(tmp_path: Path) -> None:
    """The number of the interface is what counts."""
    library = stub(tmp_path / "core.so", f"unsigned diode_core_abi(void) {{ return {ABI}; }}")
    assert ABI == load_from(library).diode_core_abi()


def test_another_version_is_refused(tmp_path: Path) -> None:
    """A library that an older or newer version left there is not called."""
    with pytest.raises(OSError, match=f"another version, with interface 99 instead of {ABI}"):
        load_from(stub(tmp_path / "core.so"))


def test_another_library_is_refused(tmp_path: Path) -> None:
    """One that does not say its interface is not ours."""
    with pytest.raises(OSError, match="not the compiled core"):
        load_from(stub(tmp_path / "core.so", "int other(void) { return 1; }"))


def test_another_machine_is_refused(tmp_path: Path) -> None:
    """A library for another kind of CPU is left to the loader to refuse."""
    library = stub(tmp_path / "core.so")
    data = bytearray(library.read_bytes())
    data[_MACHINE_AT : _MACHINE_AT + 2] = _AARCH64.to_bytes(2, "little")
    library.write_bytes(data)
    with pytest.raises(OSError, match=r"core\.so"):
        load_from(library)


def test_no_cut_crashes(tmp_path: Path) -> None:
    """A library that was cut anywhere is refused: the loader would die of some."""
    whole = stub(tmp_path / "core.so").read_bytes()
    cut = tmp_path / "cut.so"
    for length in (*range(0, len(whole), 97), len(whole) - 1):
        cut.write_bytes(whole[:length])
        with pytest.raises(OSError, match="not all of one"):
            load_from(cut)


@pytest.mark.parametrize("content", [b"", b"this is text\n" * 100, b"\x7fELF\x02" + bytes(100)])
def test_what_is_no_library_is_refused(tmp_path: Path, content: bytes) -> None:
    """Text, nothing, and a mark without what must follow."""
    other = tmp_path / "core.so"
    other.write_bytes(content)
    with pytest.raises(OSError, match=r"core\.so"):
        load_from(other)


def test_no_file_is_refused(tmp_path: Path) -> None:
    """Nothing there, or a folder."""
    with pytest.raises(OSError, match="No such file"):
        load_from(tmp_path / "none.so")
    with pytest.raises(OSError, match="not a file"):
        load_from(tmp_path)


def test_what_everybody_may_write_is_refused(tmp_path: Path) -> None:
    """It would be anybody's code in a daemon that holds keys."""
    library = stub(tmp_path / "core.so")
    library.chmod(0o777)
    with pytest.raises(OSError, match="everybody may write it; chmod o-w"):
        load_from(library)
