"""What tests share: a signing key, and who signs with it."""

import gc
import logging
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from securesystemslib.signer import CryptoSigner

from diode.formats.dsse import load_signer
from diode.log import log
from diode.trust.keys import new_signing_key
from tests.alone import pytest_sessionfinish  # noqa: F401 - a hook: CI judges some failures once more
from tests.needs import fold, need

WHOLE = Path(__file__).with_name("e2e")
MOST_DESCRIPTORS = 300  # of 1,024, which is what many systems allow a process

settings.register_profile("patient", deadline=None)  # how long an example takes says nothing about whether it is right
settings.load_profile("patient")
os.umask(0o022)  # what a group may write, as under umask 002, daemons refuse
# A shell starts what it runs in the background with Ctrl-C ignored, which our daemons would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked ``needs("root")`` is skipped where that is not there."""
    for mark in item.iter_markers("needs"):
        need(*mark.args)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests of whole daemons mostly wait for them."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of whole daemons, which mostly wait, are spread among those that keep the processor busy."""
    whole = [item for item in items if item.path.is_relative_to(WHOLE)]
    others = [item for item in items if not item.path.is_relative_to(WHOLE)]
    share = len(others) // (len(whole) + 1)
    items[:] = [one for at, item in enumerate(whole) for one in (*others[at * share : (at + 1) * share], item)]
    items += others[len(whole) * share :]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What is skipped for one reason is one line at the end."""
    report = yield
    fold(report)
    return report


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """A command that a test runs in this process sets up a log, whose stream is gone afterwards."""
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    log.before_first(None)
    logging.root.handlers[:] = handlers


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """What dies with a process in earnest (a ledger, a store that was killed) here leaves its descriptors to Python."""
    yield
    if len(os.listdir("/proc/self/fd")) > MOST_DESCRIPTORS:
        gc.collect()


def pytest_collection_finish() -> None:
    """What was imported stays: to look through it at each collection would take longer than most tests."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def signing_key() -> tuple[bytes, bytes]:
    """(private, public) halves in PEM."""
    return new_signing_key()


@pytest.fixture(scope="session")
def signer(signing_key: tuple[bytes, bytes]) -> CryptoSigner:
    """Who signs."""
    return load_signer(signing_key[0])
