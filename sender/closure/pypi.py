"""Python packages: each project of the item that no other one needs can be installed, on every target.

Of such a project each version counts alone, by what pip would take: a wheel that fits, else the source archive. A
version that fits a target not at all is no fault while another version of the project does.
"""

from collections.abc import Iterator

from packaging.utils import canonicalize_name

from diode.config.closure import PythonTarget
from sender.closure.pypi_pool import Package, Pool, best, read_pool
from sender.closure.pypi_resolver import Job
from sender.closure.pypi_targets import Target
from sender.closure.shelf import Shelf


def check_pypi(targets: tuple[PythonTarget, ...], shelf: Shelf) -> None:
    """Report what is missing."""
    pool = read_pool(shelf)
    roots = list(_roots(pool))
    for settings in targets:
        target = Target(settings)
        job = Job(pool, target, shelf.report, shelf.tick)
        for name in roots:
            own = [files for files in pool[name].values() if any(package.of_item for package in files)]
            fitting = [package for files in own if (package := best(files, target)) is not None]
            for package in fitting:
                job.judge(package)
            if not fitting:
                shelf.report.add(target.name, name, _unfit(own))


def _unfit(own: list[list[Package]]) -> str:
    names = sorted(package.path.rpartition("/")[2] for files in own for package in files)
    return f"none of its files fits: {', '.join(names[:3])}"


def _roots(pool: Pool) -> Iterator[str]:
    """Projects of the item from which all others are reached: those that nothing needs, and one of each circle."""
    edges = {name: _neighbours(pool, name) for name in pool}
    own = [name for name in sorted(pool) if any(p.of_item for files in pool[name].values() for p in files)]
    needed = {other for name, others in edges.items() for other in others if other != name}
    reached: set[str] = set()
    for name in [*(name for name in own if name not in needed), *own]:
        if name in reached:
            continue
        yield name
        waiting = [name]
        while waiting:
            if (one := waiting.pop()) not in reached:
                reached.add(one)
                waiting += edges[one]


def _neighbours(pool: Pool, name: str) -> set[str]:
    packages = [package for files in pool[name].values() for package in files]
    named: set[str] = {
        canonicalize_name(need.name) for package in packages for need in (*package.needs, *package.builds)
    }
    return named & pool.keys()
