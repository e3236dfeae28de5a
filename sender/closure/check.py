"""Looks into all kinds that a channel's settings name, and gathers what is missing."""

from collections.abc import Callable
from pathlib import Path

from diode.config.closure import Closure
from diode.content.allowance import Allowance
from diode.layouts.files import Files
from sender.closure.missing import Report
from sender.closure.shelf import FolderFiles, Shelf


def look(
    settings: Closure,
    name: str,
    item: Files,
    tick: Callable[[], None],
    sent: Callable[[], frozenset[tuple[str, str]]] = frozenset,
) -> Report:
    """What is missing of an item called ``name``. ``sent``: (name, version) of what this sender sent.

    ``tick`` raises when the check shall stop. A library of a kind is loaded when that kind is looked into. Raises
    OSError, ValueError for a folder beside or an item that cannot be looked into, ImportError without the extra
    ``closure``.
    """
    report = Report(settings.waive)
    beside = tuple(FolderFiles.below(Path(folder)) for folder in settings.beside)
    size = sum(file.size for files in (item, *beside) for file in files.table())
    known = sent() if settings.hf or settings.mcp else frozenset()
    shelf = Shelf(item, report, tick, Allowance.for_item(size), beside, known)
    if settings.pypi:
        from sender.closure.pypi import check_pypi

        check_pypi(settings.pypi, shelf)
    if settings.npm:
        from sender.closure.npm import check_npm

        check_npm(settings.npm, shelf)
    if settings.oci:
        from sender.closure.oci import check_oci

        check_oci(settings.oci, shelf)
    if settings.apt:
        from sender.closure.apt import check_apt

        check_apt(settings.apt, shelf)
    if settings.hf:
        from sender.closure.hub import check_hub

        check_hub(name, shelf)
    if settings.mcp:
        from sender.closure.mcp import check_mcp

        check_mcp(shelf)
    return report
