"""A configuration that is wrong is explained as a whole, and in words that say what to write instead."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from diode.config.check import problems_of
from diode.config.init import init_pair
from diode.config.load import load
from diode.config.programs import say_missing
from diode.config.receiver import ReceiverConfig
from diode.config.sender import SenderConfig
from diode.errors import NotInitialisedError, UsageError

SENDER = '[link]\nto = "127.0.0.1:9"\n'
RECEIVER = '[link]\nlisten = "127.0.0.1:9"\n'


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Both sides, as ``diode init pair`` writes them."""
    init_pair(
        tmp_path / "p", to="127.0.0.1:9000", listen="127.0.0.1:9001", mtu=1500, rate=10, profile="standard", auth="gmac"
    )
    return tmp_path / "p"


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (SenderConfig, SENDER + "rat = 5\n", "link.rat: unknown key; did you mean rate?"),
        (SenderConfig, "[outbx]\n" + SENDER, "outbx: unknown key; did you mean outbox?"),
        (
            SenderConfig,
            SENDER + "[channels.a]\npriorty = 1\n",
            "channels.a.priorty: unknown key; did you mean priority?",
        ),
        (SenderConfig, SENDER + "settle_s = 1\n", "link.settle_s: unknown key; did you mean outbox.settle_s?"),
        (SenderConfig, SENDER + "zzzz = 1\n", "link.zzzz: unknown key"),
        (SenderConfig, "[outbox]\n", "link: this key is missing"),
        (SenderConfig, RECEIVER, "this is the receiver's file; a command of the sender was typed"),
        (ReceiverConfig, SENDER, "this is the sender's file; a command of the receiver was typed"),
        (ReceiverConfig, RECEIVER + "[channels.a]\nsigners = 'x'\n", 'channels.a.signers: a list is wanted: ["..."]'),
        (ReceiverConfig, RECEIVER + "[channels.a.intake]\n", "its keys belong to [channels.a] itself"),
        (SenderConfig, SENDER + "[channels.Weights]\n", "channels.Weights: a channel's name begins with a lower-case"),
        (SenderConfig, SENDER + '[outbox]\nkeep = "forevr"\n', 'outbox.keep: say "forever"'),
        (SenderConfig, SENDER + "[channels.a]\ntimes = 'ja'\n", "channels.a.times: true or false is wanted"),
        (SenderConfig, "link = 5\n", "link: "),
        (SenderConfig, "[link\n", "line 1"),
    ],
)
def test_it_says_what_to_write_instead(
    tmp_path: Path, kind: type[SenderConfig] | type[ReceiverConfig], text: str, said: str
) -> None:
    """The command and the daemon say the same."""
    path = tmp_path / "some.toml"
    path.write_text(text)
    (problem,) = problems_of(kind, path)
    assert said in problem
    with pytest.raises(UsageError) as refused:
        load(kind, path)
    assert problem in str(refused.value)


def test_all_is_said_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that the environment set is named by its variable. The daemon says how many more there are."""
    path = tmp_path / "sender.toml"
    path.write_text(SENDER + "rat = 5\nmtu = 3\n")
    monkeypatch.setenv("DIODE_LINK__RATE", "fast")
    problems = problems_of(SenderConfig, path)
    assert 3 == len(problems)
    assert any(one.startswith("DIODE_LINK__RATE (sets link.rate): ") for one in problems)
    with pytest.raises(UsageError, match="and 2 more; 'config check' lists all"):
        load(SenderConfig, path)


def test_what_init_writes_is_sound(pair: Path) -> None:
    """And a key that is gone, or that others may change, is named."""
    toml = pair / "sender" / "sender.toml"
    assert [] == problems_of(SenderConfig, toml) == problems_of(ReceiverConfig, pair / "receiver" / "receiver.toml")
    (pair / "sender" / "keys" / "link.key").unlink()
    (pair / "sender" / "keys" / "signing.key").chmod(0o666)
    problems = problems_of(SenderConfig, toml)
    assert any("link.key" in one and "is not there" in one for one in problems)
    assert any("signing.key confers trust" in one and "type: " in one for one in problems)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It has a code of its own."""
    with pytest.raises(NotInitialisedError):
        problems_of(SenderConfig, tmp_path / "none.toml")


PROGRAMS = {
    (SenderConfig, "hooks.sent"): '[hooks]\nsent = ["{0}"]\n',
    (SenderConfig, "channels.a.intake.hooks.0.run"): '[channels.a.intake]\nhooks = [{{ run = ["{0}"] }}]\n',
    (ReceiverConfig, "hooks.missing"): '[hooks]\nmissing = ["{0}"]\n',
    (ReceiverConfig, "channels.a.scan"): '[channels.a]\nscan = ["{0}"]\n',
    (ReceiverConfig, "channels.a.health"): '[channels.a]\nhealth = ["{0}"]\n',
    (ReceiverConfig, "ingest.store.command"): '[ingest.store]\nkind = "exec"\nchannels = ["a"]\ncommand = ["{0}"]\n',
}


@pytest.mark.parametrize(("kind", "setting"), PROGRAMS)
def test_each_program_is_looked_for(pair: Path, kind: type[SenderConfig] | type[ReceiverConfig], setting: str) -> None:
    """One that is not there, cannot be run, is a folder, or can be written by others: each kind of setting alike."""
    side = "sender" if kind is SenderConfig else "receiver"
    toml, program = pair / side / f"{side}.toml", pair / "program"
    with toml.open("a") as file:
        file.write(PROGRAMS[kind, setting].format(program))
    assert [f"{setting}: {program} cannot be run: No such file or directory"] == problems_of(kind, toml)
    program.touch(0o600)
    assert [f"{setting}: {program} cannot be run: it may not be executed"] == problems_of(kind, toml)
    with capture_logs() as logs:
        say_missing(load(kind, toml))
    assert [("program_missing", setting)] == [(line["event"], line["setting"]) for line in logs]
    program.chmod(0o755)
    assert [] == problems_of(kind, toml)
    program.chmod(0o757)
    (problem,) = problems_of(kind, toml)
    assert f"{program} confers trust, or lies above what does, and others may write it" in problem
    program.unlink()
    program.mkdir()
    assert [f"{setting}: {program} cannot be run: it may not be executed"] == problems_of(kind, toml)


def test_users_whom_nobody_knows(pair: Path) -> None:
    """Each setting once, however many hooks it is for."""
    with (pair / "receiver" / "receiver.toml").open("a") as file:
        file.write('[hooks]\nmissing = ["/bin/true"]\nheld = ["/bin/true"]\nuser = "nobody-knows"\n')
        file.write('[channels.a]\nscan = ["true"]\nscan_user = "nobody-knows"\n')
    problems = problems_of(ReceiverConfig, pair / "receiver" / "receiver.toml")
    assert ["hooks.user", "channels.a.scan_user"] == [one.partition(":")[0] for one in problems]
