"""Judges tests of whole daemons once more, without others beside them: ``python -m tests.alone FOLDER``.

CI runs them three at a time on two cores. Where one of them fails there, either the project is at fault or the test
raced the machine. CI then runs it again alone, and that verdict counts; both are printed. So a fault that is always
there fails twice. More than three failures, a failure of any other test, or a run that did not come to its end are
never judged again. Developers' own commands (``make test``, ``make test-long``) fail at the first failure.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

KEY: Final = "diode/failed"  # in pytest's cache; FOLDER is that cache
MOST: Final = 3
SHARES_THE_MACHINE: Final = ("tests/e2e/", "tests/sandbox/", "tests/oneway/")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Write down which tests failed and whether each may be judged again, when the run came to its end."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or session.config.cache is None:  # a worker of xdist, or no cache is wanted
        return
    bad = [*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())]
    ran = exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    session.config.cache.set(KEY, {one.nodeid: ran and shares_the_machine(one) for one in bad})


def shares_the_machine(report: pytest.TestReport | pytest.CollectReport) -> bool:
    """Whether a failed test runs whole programs, which wait for the machine."""
    marks = getattr(report, "keywords", {})
    return isinstance(report, pytest.TestReport) and (
        report.nodeid.startswith(SHARES_THE_MACHINE) or "long" in marks or "clients" in marks
    )


def may_be_judged_again(failed: dict[str, bool]) -> bool:
    """Whether these failures, and what of them shares the machine, are few and all of that kind."""
    return 0 < len(failed) <= MOST and all(failed.values())


def main(cache: Path) -> int:
    """0 when each test that failed passes alone."""
    written = cache / "v" / KEY
    failed = json.loads(written.read_bytes()) if written.exists() else {}
    if not may_be_judged_again(failed):
        print(f"not judged again: {len(failed)} tests failed")
        return 1
    print("FAILED BESIDE OTHERS, judged again alone:", *failed, sep="\n  ", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", "-m", "", *failed], check=False)
    print("alone:", "PASSED, so they raced the machine; mend them" if again.returncode == 0 else "FAILED as well")
    return int(again.returncode != 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
