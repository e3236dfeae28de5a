"""Configuration files that no editor would write end in a message, too."""

from pathlib import Path

import pytest

from diode.config.settings import ReceiverConfig, load
from diode.errors import UsageError

LINK = '[link]\nlisten = "127.0.0.1:9"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LINK + '[limits]\nreserve = "' + "9" * 400 + '"\n', "is not a number of bytes"),
        ("a = " + "[" * 5000, "recursion"),
    ],
    ids=["a size beyond all numbers", "brackets without end"],
)
def test_what_cannot_be_read_is_a_usage_error(tmp_path: Path, text: str, said: str) -> None:
    """Neither a number too large for a float nor nesting too deep for the parser is a crash."""
    path = tmp_path / "receiver.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        load(ReceiverConfig, path)
