"""Names and versions that staging gives, and people's key files: nothing hides in them."""

from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner

from diode.errors import SourceError, UsageError
from diode.formats.names import check_component
from diode.trust.keys import read_trusted
from sender.outbox.folder import split_name
from tests.enclave import public_pem

HIDDEN = ("a\u202eb", "a\u200db", "\u0378", "\ue000", "a\u2028b", "a\ufeff", "\udc80")


@pytest.mark.parametrize("hidden", HIDDEN)
def test_labels(hidden: str) -> None:
    """Of an item in the outbox, and of the commands, which ask the same."""
    for entry in (hidden, f"name@{hidden}", f"{hidden}@1"):
        with pytest.raises(SourceError) as raised:
            split_name(entry)
        assert str(raised.value).isprintable()
    assert ("[x]", "größe") == split_name("[x]@größe")


@pytest.mark.parametrize("hidden", HIDDEN[:-1])
def test_what_an_older_sender_gave(hidden: str) -> None:
    """Was lawful when it was signed, and is: it is shown escaped."""
    check_component(hidden)


@pytest.mark.parametrize("hidden", HIDDEN[:-1])
def test_people(hidden: str, tmp_path: Path) -> None:
    """Whoever may put a key there cannot make it look like somebody else's."""
    (tmp_path / "alice.pub").write_text(public_pem(CryptoSigner.generate_ed25519()))
    assert ["alice"] == [key.person for key in read_trusted(tmp_path).keys.values()]
    (tmp_path / f"{hidden}.pub").write_text(public_pem(CryptoSigner.generate_ed25519()))
    with pytest.raises(UsageError, match="person") as raised:
        read_trusted(tmp_path)
    assert "U+" in str(raised.value)
