"""Formats entries of the audit log as syslog lines (RFC 5424): the fields are structured data, the message is empty."""

from typing import Final

from diode.audit.chain import ALARMS, Entry
from diode.formats.escape import escape

FACILITY: Final = 13  # log audit (RFC 5424, table 1)
WARNING, NOTICE = 4, 5
SD_ID: Final = "diode@32473"  # 32473 is the number for documentation (RFC 5612): this project has none of its own
_ESCAPED: Final = str.maketrans({"\\": r"\\", '"': r"\"", "]": r"\]"})


def syslog_line(entry: Entry, hostname: str = "-") -> str:
    """One line, without a newline. ``hostname`` is printable ASCII of at most 255 characters, or ``-`` for none."""
    priority = FACILITY * 8 + (WARNING if entry.what in ALARMS else NOTICE)
    facts = entry.model_dump(exclude_none=True, mode="json", exclude={"at", "side", "what"})
    if "head" in facts:
        facts["head"] = "{} {}".format(*facts["head"])
    if "again" in facts:
        facts["again"] = "true"
    data = "".join(f' {name}="{_value(str(value))}"' for name, value in facts.items())
    return f"<{priority}>1 {entry.at} {hostname} diode-{entry.side} - {entry.what} [{SD_ID}{data}]"


def _value(text: str) -> str:
    """A PARAM-VALUE: without control characters, which would end the line, and without bare delimiters."""
    return escape(text).translate(_ESCAPED)
