"""Resolves what one Python package needs for one target, by the resolver that pip uses, from the packages of a pool."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, ResolutionTooDeep, Resolver

from sender.closure.missing import Report
from sender.closure.pypi_pool import Package, Pool, best
from sender.closure.pypi_targets import Target

MOST_ROUNDS: Final = 20_000

Key = tuple[str, frozenset[str]]


class Need(NamedTuple):
    """A requirement. ``exact``: this very version, whether it is a pre-release or not. ``source``: an address."""

    name: str
    extras: frozenset[str]
    specifier: SpecifierSet
    exact: Version | None
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """One version of a project with some of its extras, by the file that the target would take."""

    package: Package
    extras: frozenset[str]

    def __str__(self) -> str:
        return f"{self.package.name} {self.package.version}"


class _Provider(AbstractProvider[Need, Choice, Key]):
    """What resolvelib asks. ``met``: source archives that were met on the way, which pip would build."""

    def __init__(self, pool: Pool, target: Target, report: Report, tick: Callable[[], None]) -> None:
        self._pool, self._target, self._report, self._tick = pool, target, report, tick
        self.met: dict[str, Package] = {}
        self._fitting: dict[str, list[Package]] = {}

    def fitting(self, name: str) -> list[Package]:
        """Each version of a project that this target can install, newest first."""
        if name not in self._fitting:
            versions = self._pool.get(name, {})
            found = (best(versions[version], self._target) for version in sorted(versions, reverse=True))
            self._fitting[name] = [package for package in found if package is not None]
        return self._fitting[name]

    def identify(self, requirement_or_candidate: Need | Choice) -> Key:
        """A project with other extras is another thing that is to be chosen, bound to the same version."""
        one = requirement_or_candidate
        return (one.package.name if isinstance(one, Choice) else one.name), one.extras

    def get_preference(
        self,
        identifier: Key,
        resolutions: Mapping[Key, Choice],
        candidates: Mapping[Key, Iterator[Choice]],
        information: Mapping[Key, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> Any:
        """First what a conflict was about, then what is bound most closely."""
        causes = {self.identify(cause.requirement) for cause in backtrack_causes}
        needs = [each.requirement for each in information[identifier]]
        is_bound = any(need.exact is not None or len(need.specifier) for need in needs)
        return identifier not in causes, not is_bound, identifier[0], sorted(identifier[1])

    def find_matches(
        self,
        identifier: Key,
        requirements: Mapping[Key, Iterator[Need]],
        incompatibilities: Mapping[Key, Iterator[Choice]],
    ) -> Iterable[Choice]:
        """Versions that all requirements take, newest first; pre-releases only where nothing else is asked for."""
        self._tick()
        needs = list(requirements[identifier])
        barred = {choice.package.version for choice in incompatibilities[identifier]}
        taken = [package for package in self.taken(needs) if package.version not in barred]
        return [Choice(package, identifier[1]) for package in taken]

    def taken(self, needs: Iterable[Need]) -> list[Package]:
        """Packages of one project that all of these take."""
        packages = self.fitting(next(iter(needs := list(needs))).name)
        specifier = SpecifierSet()
        for need in needs:
            if need.source:
                return []
            if need.exact is not None:
                packages = [package for package in packages if package.version == need.exact]
            specifier &= need.specifier
        is_exact = any(need.exact is not None for need in needs)
        return list(specifier.filter(packages, prereleases=is_exact or None, key=lambda package: package.version))

    def is_satisfied_by(self, requirement: Need, candidate: Choice) -> bool:
        """Whether a choice that was made for others is one for this requirement, too."""
        version = candidate.package.version
        if requirement.exact is not None:
            return version == requirement.exact
        return not requirement.source and requirement.specifier.contains(version, prereleases=True)

    def get_dependencies(self, candidate: Choice) -> Iterable[Need]:
        """What is needed besides. What may be missing and is, is left out."""
        package = candidate.package
        if package.tags is None:
            self.met[package.path] = package
        if candidate.extras:
            yield Need(package.name, frozenset(), SpecifierSet(), package.version, str(candidate))
        for need in needs_of(package.needs, self._target, candidate.extras):
            if self.taken([need]) or not self._report.may_miss(need.name):
                yield need


def needs_of(requirements: Iterable[Requirement], target: Target, extras: frozenset[str]) -> Iterator[Need]:
    """Those requirements whose markers hold for the target."""
    for one in requirements:
        contexts = [target.markers | {"extra": extra} for extra in extras or {""}]
        if one.marker is None or any(one.marker.evaluate(context) for context in contexts):
            wanted = frozenset(map(canonicalize_name, one.extras))
            text = str(Requirement(str(one).partition(";")[0].strip()))
            yield Need(canonicalize_name(one.name), wanted, one.specifier, None, text, one.url or "")


class Job:
    """One target, and what was resolved for it so far."""

    def __init__(self, pool: Pool, target: Target, report: Report, tick: Callable[[], None]) -> None:
        self._pool, self._target, self._report, self._tick = pool, target, report, tick
        self._built: set[str] = set()

    def judge(self, package: Package) -> None:
        """Report what a person who installs this package would find missing."""
        exact = Need(package.name, frozenset(), SpecifierSet(), package.version, f"{package.name}=={package.version}")
        self._judge([exact], "")

    def _judge(self, needs: list[Need], for_whom: str) -> None:
        provider = _Provider(self._pool, self._target, self._report, self._tick)
        needs = [need for need in needs if provider.taken([need]) or not self._report.may_miss(need.name)]
        resolver: Resolver[Need, Choice, Key] = Resolver(provider, BaseReporter())
        try:
            resolver.resolve(needs, max_rounds=MOST_ROUNDS)
        except ResolutionImpossible as error:
            self._name(provider, needs, for_whom, error)
        except ResolutionTooDeep:
            self._report.add(self._target.name, needs[0].name, f"not told within {MOST_ROUNDS} steps of resolving")
        for path in sorted(provider.met.keys() - self._built):
            self._built.add(path)
            self._build(provider.met[path])

    def _build(self, package: Package) -> None:
        """A source archive that this target would build: it must say what it needs, and its tools must be there."""
        if package.unsaid:
            why = f"{package.unsaid}; send a wheel of it, or waive it"
            self._report.add(self._target.name, package.name, why)
        tools = list(needs_of(package.builds, self._target, frozenset()))
        if tools:
            self._judge(tools, f"to build {package.path.rpartition('/')[2]}")

    def _name(self, provider: _Provider, needs: list[Need], for_whom: str, error: ResolutionImpossible) -> None:  # type: ignore[type-arg]
        """Report needs that nothing meets; where each is met by something, the conflict."""
        found = False
        waiting: list[tuple[Need, str]] = [(need, for_whom) for need in needs]
        seen: set[tuple[str, frozenset[str], str]] = set()
        while waiting:
            need, parent = waiting.pop()
            if (key := (need.name, need.extras, need.text)) in seen:
                continue
            seen.add(key)
            self._tick()
            taken = provider.taken([need])
            if not taken:
                found = True
                self._report.add(self._target.name, need.name, self._why(need, parent))
            for package in taken[:1]:
                choice = Choice(package, need.extras)
                waiting += [(other, f"by {choice}") for other in provider.get_dependencies(choice)]
        if not found:
            said = " and ".join(
                f"{cause.requirement.text}{f' by {cause.parent}' if cause.parent else ''}"
                for cause in list(error.causes)[:4]
            )
            self._report.add(self._target.name, needs[0].name, f"no set of versions meets {said}")

    def _why(self, need: Need, parent: str) -> str:
        asked = f"{need.text} is needed {parent}".strip() if parent else f"{need.text}"
        if need.source:
            return f"{asked}, from an address that cannot be reached behind the wall"
        versions = self._pool.get(need.name, {})
        there = [version for version in versions if need.specifier.contains(version, prereleases=True)]
        if not versions:
            return f"{asked}, and no version of it is there"
        if not there:
            return f"{asked}; there are {', '.join(map(str, sorted(versions)[-3:]))}"
        return f"{asked}; no wheel of {', '.join(map(str, sorted(there)[-3:]))} fits, and no source archive is there"
