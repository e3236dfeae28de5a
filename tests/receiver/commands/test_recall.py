"""What ``diode-receiver recall`` prints to clear a client's cache."""

import pytest

from receiver.commands.recall import _command, _spelt
from receiver.gateway.clients.hub import CLEARING
from receiver.ledger.bundles import Row
from receiver.ledger.catalogue import NameClaim
from receiver.ledger.states import State


@pytest.mark.parametrize(("sort", "spelling"), [("models", "Acme/Tiny"), ("datasets", "Acme/Tiny")])
def test_the_folder_of_a_hugging_face_cache_is_named_as_it_is_there(sort: str, spelling: str) -> None:
    """Slashes are two hyphens, in the spelling that clients ask by."""
    claim = NameClaim("hub", f"{sort}/{spelling}".lower(), "00000000000000aa", spelling, "models", "models")
    row = Row("00000000000000aa", "models", "x", "1", 1, 1, 1, 1, "", "", State.PUBLISHED, "", "")
    command = _command(CLEARING[0], row, {"hub": _spelt(claim)}, "hub")
    assert command == f"rm -rf ~/.cache/huggingface/hub/{sort}--Acme--Tiny"
