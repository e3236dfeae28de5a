"""Puts the compiled core into a wheel, where rustc can build it. Read by hatchling when it builds; nothing imports it.

With the core a wheel is of this machine's kind only; without it, one line says why, and the wheel is of every kind. An
editable installation gets the core in place. A core that cannot be built fails nothing, unless ``DIODE_CORE`` is
``require``.
"""

import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parents[2]))  # the sources that are built, whatever is installed

from diode.core import build


class CoreHook(BuildHookInterface[Any]):
    """Called by hatchling before and after it makes a wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the library, and add it to the wheel."""
        if version == "editable":
            self._say(build.build_in_place())
            return
        self._folder = tempfile.TemporaryDirectory(prefix="diode-core-")
        library = Path(self._folder.name) / build.LIBRARY.name
        why = build.attempt(library)
        self._say(why)
        if not why:
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
            build_data["force_include"][str(library)] = f"diode/core/{library.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was built on the way."""
        if version != "editable":
            self._folder.cleanup()

    def _say(self, why: str) -> None:
        if why:
            self.app.display_warning(f"without the compiled core: {why}")
