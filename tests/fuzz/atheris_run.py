"""One target under atheris: ``python -m tests.fuzz.atheris_run TARGET [libFuzzer options and corpus folders]``.

A crash is kept as ``crash-...`` in the working folder; ``--replay FILE`` runs one input without atheris.
"""

import sys
from pathlib import Path

from tests.fuzz.corpus import TARGETS, target


def main() -> None:
    """Never returns: libFuzzer ends the process, with 77 after a crash."""
    name, *options = sys.argv[1:]
    if name not in TARGETS:
        sys.exit(f"no such target: {name}; there are {', '.join(TARGETS)}")
    if options[:1] == ["--replay"]:
        for path in options[1:]:
            target(name).one_input(Path(path).read_bytes())
        return
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["diode"]):
        module = target(name)
    atheris.Setup([sys.argv[0], *options], module.one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
