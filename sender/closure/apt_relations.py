"""What Debian packages need and offer: names, versions, virtual packages, and architectures (deb-control(5))."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from debian.deb822 import Packages, PkgRelation
from debian.debian_support import NativeVersion

MAX_RELATIONS: Final = 256 << 10  # characters of one field
_SAFE: Final = re.compile(r"[A-Za-z0-9+.:~_^()|,<>=\s$\[\]!{}@*/-]*")


@dataclass(frozen=True, slots=True)
class Deb:
    """A paragraph of an index. ``root``: the folder of its repository, with a slash at its end, or nothing."""

    name: str
    version: str
    architecture: str
    multi_arch: str
    depends: str
    provides: str
    root: str
    file: str
    size: int
    sha256: str

    @classmethod
    def of(cls, said: Packages, root: str | None) -> Self:
        """Raises ValueError for a paragraph that names no package, version or size."""
        fields = {name: str(said.get(name, "")) for name in ("Package", "Version", "Size", "Depends", "Pre-Depends")}
        if not fields["Package"] or not fields["Version"]:
            raise ValueError("a paragraph of it names no package")
        needs = ", ".join(filter(None, (fields["Pre-Depends"], fields["Depends"])))
        provides = str(said.get("Provides", ""))
        if max(len(needs), len(provides)) > MAX_RELATIONS or not _SAFE.fullmatch(needs + provides):
            raise ValueError(f"{fields['Package'][:100]} has dependencies that cannot be read")
        return cls(
            fields["Package"],
            fields["Version"],
            str(said.get("Architecture", "all")),
            str(said.get("Multi-Arch", "no")),
            needs,
            provides,
            root or "",
            str(said.get("Filename", "")).removeprefix("./"),
            int(fields["Size"] or 0),
            str(said.get("SHA256", "")).lower(),
        )


@dataclass(frozen=True, slots=True)
class Wants:
    """One alternative of a dependency."""

    name: str
    architecture: str  # any, native, or one by name; empty: the machine's
    operator: str
    version: str

    def __str__(self) -> str:
        qualified = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{qualified} ({self.operator} {self.version})" if self.operator else qualified


@lru_cache(maxsize=10_000)
def alternatives(field: str) -> tuple[tuple[Wants, ...], ...]:
    """The groups of a Depends field; one of each group must be had."""
    if not field.strip():
        return ()
    groups = []
    for group in PkgRelation.parse_relations(field):
        wants = []
        for one in group:
            operator, version = one["version"] or ("", "")
            wants.append(Wants(one["name"], one["archqual"] or "", operator, version))
        if any(want.name for want in wants):
            groups.append(tuple(wants))
    return tuple(groups)


class Offers:
    """What can be installed on one target: packages by name, and by what they provide.

    Of the versions that indexes list, apt takes the newest of a name and never looks at the others by itself. What is
    installed already may be of any version.
    """

    def __init__(self, debs: Iterable[Deb], architecture: str) -> None:
        self._architecture = architecture
        self._real: dict[str, list[Deb]] = {}
        self._virtual: dict[str, list[tuple[Deb, str]]] = {}  # with the version that is provided, if any
        self._newest: dict[str, str] = {}
        self._installed: set[Deb] = set()
        self.add(debs)

    def add(self, debs: Iterable[Deb]) -> None:
        """More of what indexes list."""
        for deb in debs:
            if deb.name not in self._newest or _order(deb.version, self._newest[deb.name]) > 0:
                self._newest[deb.name] = deb.version
            self._note(deb)

    def add_installed(self, debs: Iterable[Deb]) -> None:
        """What each machine has."""
        for deb in debs:
            self._installed.add(deb)
            self._note(deb)

    def _note(self, deb: Deb) -> None:
        self._real.setdefault(deb.name, []).append(deb)
        for want in (one for group in alternatives(deb.provides) for one in group):
            self._virtual.setdefault(want.name, []).append((deb, want.version))

    def is_taken(self, deb: Deb) -> bool:
        """Whether apt would install this one where somebody asks for its name, or has it already."""
        newest = self._newest.get(deb.name)
        return deb in self._installed or (newest is not None and _order(deb.version, newest) == 0)

    def meets(self, want: Wants) -> bool:
        """Whether something here satisfies an alternative."""
        return any(
            self._is_of(deb, want) and _compares(deb.version, want) for deb in self._real.get(want.name, ())
        ) or any(
            self._is_of(deb, want) and (not want.operator or (version != "" and _compares(version, want)))
            for deb, version in self._virtual.get(want.name, ())
        )

    def versions(self, wanted: Iterable[str]) -> list[str]:
        """``NAME VERSION`` of what is here of these names."""
        return [f"{name} {deb.version}" for name in wanted for deb in self._real.get(name, ())]

    def _is_of(self, deb: Deb, want: Wants) -> bool:
        if not self.is_taken(deb):
            return False
        if want.architecture == "any":
            return deb.multi_arch == "allowed"
        machine = deb.architecture if deb.architecture != "all" else self._architecture
        if want.architecture in {"", "native"}:
            return machine == self._architecture or deb.multi_arch == "foreign"
        return machine == want.architecture


def _compares(version: str, want: Wants) -> bool:
    if not want.operator:
        return True
    order = _order(version, want.version)
    match want.operator:
        case "<<":
            return order < 0
        case "<=" | "<":
            return order <= 0
        case "=":
            return order == 0
        case ">=" | ">":
            return order >= 0
        case _:
            return order > 0


@lru_cache(maxsize=100_000)
def _order(one: str, other: str) -> int:
    a, b = NativeVersion(one), NativeVersion(other)
    return -1 if a < b else int(a > b)
