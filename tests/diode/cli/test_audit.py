"""``diode audit``: what it prints, how it ends, and syslog lines that a strict parser takes."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from diode.audit.chain import GENESIS, Entry, What
from diode.audit.log import AuditLog
from diode.audit.syslog import syslog_line
from diode.audit.verify import entries_of
from diode.cli.main import app
from diode.console.entry import guarded
from diode.formats.digest import digest
from diode.formats.dsse import load_signer
from diode.trust.keys import new_signing_key

# RFC 5424, section 6, from its ABNF; UTF-8 is checked by decoding
_NAME = r'(?:(?!["=\]])[!-~]){1,32}'
_VALUE = r'(?:[^"\\\]\x00-\x1f\x7f]|\\["\\\]])*'
_ELEMENT = rf'\[{_NAME}(?: {_NAME}="{_VALUE}")*\]'
RFC_5424 = re.compile(
    r"<(?P<pri>[1-9]?[0-9]|1[0-8][0-9]|19[01])>[1-9][0-9]{0,2} "
    r"(?P<time>-|[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])) "
    r"(?P<host>[!-~]{1,255}) (?P<app>[!-~]{1,48}) (?P<proc>[!-~]{1,128}) (?P<msgid>[!-~]{1,32}) "
    rf"(?P<data>-|(?:{_ELEMENT})+)(?: .*)?"
)
PARAMETER = re.compile(rf' ({_NAME})="({_VALUE})"')

NASTY = 'a"b]c\\d[e]=\n\r\t\x1b[31m\x7f\x9b\u2028\u202e\u00fc\U0001f4a5'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A staging log with its key, and an enclave's that heard of it."""
    for side in ("sender", "receiver"):
        private, public = new_signing_key()
        (tmp_path / f"{side}.key").write_bytes(private)
        (tmp_path / f"{side}.pub").write_bytes(public)
    sender = AuditLog(tmp_path / "sender", "sender", load_signer((tmp_path / "sender.key").read_bytes()))
    sender.append(What.STARTED)
    sender.append(What.INTAKE_REJECTED, name=NASTY, detail=NASTY, verdict="source")
    receiver = AuditLog(tmp_path / "receiver", "receiver", load_signer((tmp_path / "receiver.key").read_bytes()))
    receiver.append(What.PEER_HEAD, head=sender.head())
    receiver.append(What.PUBLISHED, bundle="a" * 16, again=True)
    return tmp_path


def run(*arguments: object) -> tuple[int, str]:
    """(exit code, standard output) of ``diode audit``."""
    result = CliRunner().invoke(app, ["audit", *map(str, arguments)])
    code = getattr(result.exception, "exit_code", result.exit_code)
    return code, result.stdout or str(result.exception)


def test_verify_says_what_it_found(site: Path) -> None:
    """In words, and as JSON."""
    code, text = run("verify", site / "sender", "--key", site / "sender.pub", "--heads", site / "receiver")
    assert code == 0
    assert "entries 1 to 2 of a sender follow each other, each signed" in text
    assert "1 heads that the enclave heard are in it" in text
    line = (site / "sender" / "audit-000001.jsonl").read_bytes().splitlines()[-1]
    code, text = run("verify", site / "sender", "--no-signatures", "--json")
    facts = {"side": "sender", "first": 1, "head": {"n": 2, "hash": digest(line).hex()}, "files": 1, "heads": 0}
    assert (0, facts | {"signed": False, "repairs": [], "anchored": None}) == (code, json.loads(text))


def test_exit_codes(site: Path) -> None:
    """13 where the chain breaks or was cut, 12 for a signature, 2 without a word about keys."""
    log, key = site / "sender", site / "sender.pub"
    heads = ("--heads", site / "receiver", "--heads-key", site / "receiver.pub")
    assert run("verify", log, "--key", key, *heads)[0] == 0
    assert run("verify", log)[0] == 2
    assert run("verify", log, "--key", site / "receiver.pub")[0] == 12
    assert run("verify", log, "--key", key, *heads[:3], key)[0] == 12
    path = log / "audit-000001.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0])
    code, text = run("verify", log, "--key", key, *heads)
    assert (13, True) == (code, "the end was cut off" in text)
    path.write_bytes(lines[1])
    assert run("verify", log, "--key", key)[0] == 13
    assert run("export", log)[0] == 13
    assert callable(guarded(app))


def test_json_lines_are_exported_as_they_are(site: Path) -> None:
    """Byte for byte: signatures travel with them."""
    assert (0, (site / "sender" / "audit-000001.jsonl").read_text()) == run("export", site / "sender")


def unescaped(value: str) -> str:
    """A PARAM-VALUE without its escapes."""
    return re.sub(r'\\(["\\\]])', r"\1", value)


def test_syslog_lines_are_of_rfc_5424(site: Path) -> None:
    """Each is one line that the grammar takes, with every fact in it."""
    code, text = run("export", site / "sender", "--format", "syslog", "--hostname", "staging.example")
    lines = text.split("\n")[:-1]
    entries = list(entries_of(site / "sender"))
    assert (0, len(entries)) == (code, len(lines))
    for entry, line in zip(entries, lines, strict=True):
        match = RFC_5424.fullmatch(line)
        assert match, line
        assert (entry.at, "staging.example", "diode-sender", "-", entry.what) == match.group(
            *("time", "host", "app", "proc", "msgid")
        )
        facts = dict(PARAMETER.findall(match["data"]))
        assert (str(entry.n), entry.prev, entry.sig) == (facts["n"], facts["prev"], facts["sig"])
    assert ("109", "108") == tuple(RFC_5424.fullmatch(line)["pri"] for line in lines)  # type: ignore[index]
    shown = unescaped(dict(PARAMETER.findall(lines[1]))["name"])
    assert shown == r'a"b]c\d[e]=\x0a\x0d\x09\x1b[31m\x7f\x9b\u2028\u202eü' + "\U0001f4a5"
    assert run("export", site / "sender", "--format", "syslog", "--hostname", "a b")[0] == 2


def test_heads_and_repetitions_are_facts() -> None:
    """As text."""
    fields = {"n": 1, "at": "2026-01-01T00:00:00Z", "side": "receiver", "who": "?", "prev": GENESIS}
    entry = Entry.model_validate(fields | {"what": What.PEER_HEAD, "head": (7, GENESIS), "again": True})
    line = syslog_line(entry)
    assert RFC_5424.fullmatch(line)
    assert {"head": f"7 {GENESIS}", "again": "true"}.items() <= dict(PARAMETER.findall(line)).items()


def test_show_is_a_table_that_no_terminal_obeys(site: Path) -> None:
    """Control characters of names are shown, not sent."""
    code, text = run("show", site / "sender", "--last", 1)
    assert (0, False, False) == (code, "\x1b[31m" in text, "started" in text)
    assert "intake_rejec" in text
    assert "again" in run("show", site / "receiver")[1]


def shown(site: Path, *options: str) -> list[str]:
    """What kinds of entries ``diode audit show`` finds in the enclave's log."""
    code, said = run("show", site / "receiver", "--json", *options)
    assert 0 == code, said
    return [json.loads(line)["what"] for line in said.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), ["peer_head", "published"]),
        (("--what", "published"), ["published"]),
        (("--what", "published", "--what", "peer_head", "--last", "1"), ["published"]),
        (("--bundle", "AAA"), ["published"]),
        (("--bundle", "b"), []),
        (("--channel", "cve"), []),
        (("--since", "1h"), ["peer_head", "published"]),
        (("--since", "2000-01-01", "--until", "2000-12-31 10:00"), []),
        (("--until", "1d"), []),
        (("--who", "nobody-of-this-name"), []),
        (("--who", ":", "--since", "2026-01-01T00:00:00Z"), ["peer_head", "published"]),
    ],
)
def test_show_finds(site: Path, options: tuple[str, ...], found: list[str]) -> None:
    """By time, kind, bundle, channel and user; all that is given must fit."""
    assert found == shown(site, *options)


def test_show_says_what_it_does_not_know(site: Path) -> None:
    """A time that is none, a kind that is none; and a broken chain is no answer."""
    for options in (("--since", "yesterday"), ("--until", "2026-13-01"), ("--what", "eaten")):
        assert 2 == run("show", site / "receiver", *options)[0], options
    path = next((site / "receiver").glob("*.jsonl"))
    path.write_bytes(path.read_bytes().replace(b"published", b"rejected "))
    assert 13 == run("show", site / "receiver", "--bundle", "a")[0]
    code, said = run("show", site / "sender")
    at = next(iter(entries_of(site / "sender"))).at
    assert (0, True) == (code, at in said)
