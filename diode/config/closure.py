"""Settings of the check that an item is whole: for which machines, what lies behind the wall, what may be missing."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diode.config.sections import Section

_PLATFORM: Final = re.compile(r"(?P<machine>[a-z0-9_]+?)-(?P<rest>manylinux_2_\d{1,2}|manylinux2014|musllinux_1_\d|.+)")
_SHORT: Final = {  # as uv spells and means them
    "unknown-linux-gnu": "manylinux_2_28",
    "unknown-linux-musl": "musllinux_1_2",
    "manylinux2014": "manylinux_2_17",
}
_LIBC: Final = re.compile(r"(manylinux_2|musllinux_1)_\d{1,2}")
Word = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]*$")]


def _platform(value: str) -> str:
    """``MACHINE-manylinux_2_N`` or ``MACHINE-musllinux_1_N``, from any of the spellings that uv takes for Linux."""
    found = _PLATFORM.fullmatch(value)
    libc = _SHORT.get(found["rest"], found["rest"]) if found else ""
    if found is None or not _LIBC.fullmatch(libc):
        raise ValueError(f"{value} is no platform; write one as x86_64-manylinux_2_28 or aarch64-unknown-linux-musl")
    return f"{found['machine']}-{libc}"


class PythonTarget(Section):
    """A Python behind the wall that installs the packages."""

    python: Annotated[str, Field(pattern=r"^3\.\d{1,2}(\.\d{1,2})?$")]  # 3.11, or 3.11.4
    platform: Annotated[str, AfterValidator(_platform)]

    def __str__(self) -> str:
        return f"Python {self.python} on {self.platform}"


class NodeTarget(Section):
    """A Node.js behind the wall, in Node's own words."""

    os: Word = "linux"
    cpu: Word
    libc: Literal["glibc", "musl"] | None = "glibc"  # None where the system has no such choice

    def __str__(self) -> str:
        return "-".join(word for word in (self.os, self.cpu, self.libc) if word)


class AptTarget(Section):
    """A Debian behind the wall. ``installed``: a dpkg status, or a Packages file, of what each machine has already."""

    suite: Word
    architecture: Word
    installed: Path | None = None

    def __str__(self) -> str:
        return f"{self.suite} {self.architecture}"


Platform = Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?$", max_length=100)]  # linux/arm64/v8


class Closure(Section):
    """What is looked into, each kind for its own targets. A kind that is not named is not looked into."""

    pypi: Annotated[tuple[PythonTarget, ...], Field(max_length=32)] = ()
    npm: Annotated[tuple[NodeTarget, ...], Field(max_length=32)] = ()
    oci: Annotated[tuple[Platform, ...], Field(max_length=32)] = ()
    apt: Annotated[tuple[AptTarget, ...], Field(max_length=32)] = ()
    hf: bool = False
    mcp: bool = False
    beside: Annotated[tuple[Path, ...], Field(max_length=32)] = ()  # folders of what crossed before
    waive: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=255)], ...], Field(max_length=1000)] = ()
    timeout_s: Annotated[float, Field(gt=0.0, le=86_400.0)] = 600.0  # for one item

    @model_validator(mode="after")
    def _looks_into_something(self) -> Self:
        if not any((self.pypi, self.npm, self.oci, self.apt, self.hf, self.mcp)):
            raise ValueError("name the targets of a kind: pypi, npm, oci or apt; or set hf or mcp to true")
        return self
