"""What a Python behind the wall is: the tags of the wheels that it takes, and the values of its markers."""

from typing import Final

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.version import Version

from diode.config.closure import PythonTarget

_LEGACY: Final = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}  # glibc 2.N: its older name (PEP 600)
_OLD_MACHINES: Final = frozenset({"x86_64", "i686"})  # of which wheels from before manylinux2014 exist


class Target:
    """One target. ``version``: with three parts; where the configuration says two, the third is 0."""

    def __init__(self, settings: PythonTarget) -> None:
        self.name = str(settings)
        numbers = settings.python.split(".")
        self.version = Version(".".join([*numbers, "0"][:3]))
        short = (int(numbers[0]), int(numbers[1]))
        machine, _, libc = settings.platform.partition("-")
        platforms, interpreter = _platforms(machine, libc), f"cp{short[0]}{short[1]}"
        self.tags: frozenset[Tag] = frozenset(
            [
                *cpython_tags(short, [interpreter], platforms),
                *compatible_tags(short, interpreter, platforms),
            ]
        )
        self.markers = {
            "implementation_name": "cpython",
            "implementation_version": str(self.version),
            "os_name": "posix",
            "platform_machine": machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": str(self.version),
            "python_version": f"{short[0]}.{short[1]}",
            "sys_platform": "linux",
        }


def _platforms(machine: str, libc: str) -> list[str]:
    """The platform tags that pip takes on such a machine, by PEP 600 and PEP 656."""
    name, _, minor = libc.rpartition("_")
    newest = int(minor)
    if name == "musllinux_1":
        found = [f"musllinux_1_{number}_{machine}" for number in range(newest, -1, -1)]
        return [*found, f"linux_{machine}"]
    found = []
    for number in range(newest, (4 if machine in _OLD_MACHINES else 16), -1):
        found.append(f"manylinux_2_{number}_{machine}")
        if number in _LEGACY:
            found.append(f"{_LEGACY[number]}_{machine}")
    return [*found, f"linux_{machine}"]
