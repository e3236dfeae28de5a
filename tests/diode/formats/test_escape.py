"""Text that somebody else chose is shown character by character, and obeyed by nothing."""

import json
import logging
import sys
import unicodedata
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from diode.audit.chain import Entry, What
from diode.audit.syslog import syslog_line
from diode.console.logs import configure
from diode.console.metrics import counter
from diode.formats.escape import escape, escape_lines, is_visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [/x] \\ text", "plain [/x] \\ text"),
        ("\x1b[2J\x07\x7f\x9b", "\\x1b[2J\\x07\\x7f\\x9b"),
        ("two\nlines\r\t", "two\\x0alines\\x0d\\x09"),
        ("a\u202egpj.exe\u2066\u200f", "a\\u202egpj.exe\\u2066\\u200f"),
        ("zero\u200bwidth\u2060\ufeff\u00ad", "zero\\u200bwidth\\u2060\\ufeff\\xad"),
        ("\u2028\u2029\u0085", "\\u2028\\u2029\\x85"),
        ("no\u00a0break\u3000\u2003", "no\\xa0break\\u3000\\u2003"),
        (
            "\u3164\u115f\u2800\ufe0f\u034f\U000e0100\U000e0041",
            "\\u3164\\u115f\\u2800\\ufe0f\\u034f\\U000e0100\\U000e0041",
        ),
        ("\udc80 \ue000 \u0378 \U0010ffff", "\\udc80 \\ue000 \\u0378 \\U0010ffff"),
        ("größe 模型 ☺", "größe 模型 ☺"),
    ],
)
def test_what_nobody_sees_is_written_out(text: str, shown: str) -> None:
    """Controls, overrides, blanks, surrogates, private and unassigned; letters and brackets stay."""
    assert shown == escape(text)


@given(st.text(st.characters()))
def test_it_is_visible_and_stays_as_it_is(text: str) -> None:
    """Whatever goes in: what comes out is one visible line, and escaping it once more changes nothing."""
    shown = escape(text)
    assert all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in shown)
    assert (True, shown) == (all(map(is_visible, shown)), escape(shown))
    assert shown.encode().isascii() or not text.isascii()


def test_our_own_line_ends_stay() -> None:
    """Of a traceback; nothing else does."""
    assert "a\n\\x1bb\\x0d\n" == escape_lines("a\n\x1bb\r\n")


@pytest.fixture(params=[True, False], ids=["json", "console"])
def log_is_json(request: pytest.FixtureRequest) -> Iterator[bool]:
    """A log in one of its forms; afterwards it is as it was."""
    yield request.param
    structlog.reset_defaults()
    logging.getLogger().handlers.clear()


def test_a_log_line_is_one_line(log_is_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Event, names and values: text, lists, mappings, things, and the text of an error."""
    configure(json=log_is_json)
    hostile = "[/x]\x1b]0;t\x07\u202e\n<1>forged\x9b"
    log = structlog.get_logger()
    log.warning(
        hostile, label=hostile, **{hostile: 1}, names=[hostile], more={hostile: (hostile,)}, error=OSError(hostile)
    )
    said = capsys.readouterr().err
    assert 1 == said.count("\n")
    assert said.rstrip("\n").isprintable()
    if log_is_json:
        assert (1, escape(hostile)) == (json.loads(said)[escape(hostile)], json.loads(said)["label"])


def test_a_traceback_in_the_log(log_is_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """It keeps its lines, and what an error says is escaped; likewise what a library logs by itself."""
    configure(json=log_is_json)
    try:
        raise ValueError("\x1b[2J\u202e")
    except ValueError:
        structlog.get_logger().exception("broke")
    logging.getLogger("asyncio").error("callback of %s", "\x1b[2J")
    said = capsys.readouterr().err
    assert ("\x1b" in said, "\u202e" in said, "Traceback" in said) == (False, False, True)
    assert "callback of \\x1b[2J" in said


def test_a_syslog_line_holds_its_delimiters() -> None:
    """Quotes, brackets and backslashes as RFC 5424 has them; whatever would end the line as text."""
    entry = Entry(
        n=1, at="2026-01-01T00:00:00Z", side="receiver", who='a"]\\', what=What.REFUSED, prev="0" * 64,
        detail="x\n<0>1 forged\u2028\x1b\u3164",
    )  # fmt: skip
    line = syslog_line(entry)
    assert line.isprintable()
    assert r'who="a\"\]\\"' in line
    assert r'detail="x\\x0a<0>1 forged\\u2028\\x1b\\u3164"' in line


def test_a_label_of_a_figure() -> None:
    """Whoever looks at the figures in a terminal sees them."""
    [sample] = counter("diode_x", "text", {"a\x1b\u202e": 1}, "reason").samples
    assert {"reason": "a\\x1b\\u202e"} == sample.labels


def test_the_version_of_unicode_is_said() -> None:
    """Which characters are assigned is that version's to say; the page names the oldest that we run on."""
    assert (3, 11) <= sys.version_info[:2]
    assert (14, 0) <= tuple(map(int, unicodedata.unidata_version.split(".")))[:2]
