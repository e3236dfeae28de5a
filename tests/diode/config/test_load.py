"""Configuration is read from a file and the environment; what cannot be read ends in a message."""

from pathlib import Path

import pytest

from diode.config.load import load, load_either
from diode.config.receiver import ReceiverConfig
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


def test_the_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key by key: what the environment does not name is read from the file."""
    path = tmp_path / "receiver.toml"
    path.write_text(LINK + 'auth = "aead"\n[limits]\nfiles = 7\n')
    monkeypatch.setenv("DIODE_LINK__LISTEN", "127.0.0.1:10")
    monkeypatch.setenv("DIODE_STATE", "elsewhere")
    config = load(ReceiverConfig, path)
    found = (config.link.listen, config.link.auth, config.limits.files, config.state)
    assert ("127.0.0.1:10", "aead", 7, tmp_path / "elsewhere") == found


def test_a_configuration_remembers_its_own_file(tmp_path: Path) -> None:
    """Reading another file changes nothing in it, and one that was not read from a file says so."""
    paths = [tmp_path / "receiver.toml", tmp_path / "sender.toml"]
    paths[0].write_text(LINK)
    paths[1].write_text('[link]\nto = "127.0.0.1:9"\n')
    configs = [load_either(path) for path in paths]
    assert [("receiver", paths[0]), ("sender", paths[1])] == [(config.side, config.source) for config in configs]
    assert ReceiverConfig(link=configs[0].link).source is None


def test_no_file_can_say_where_it_lies(tmp_path: Path) -> None:
    """Whose file it is decides who may change it: the key is unknown, as any other."""
    path = tmp_path / "receiver.toml"
    for line in ('source = "/etc/passwd"\n', '_source = "/etc/passwd"\n', 'side = "sender"\n'):
        path.write_text(line + LINK)
        with pytest.raises(UsageError, match="unknown key"):
            load(ReceiverConfig, path)
