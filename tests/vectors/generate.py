"""Writes the test vectors: one small file per scenario, named after it; ``README.md`` beside it says what is in them.

Run ``python -m tests.vectors.generate`` after a change of a format, and review what changed. Nothing of ``diode`` is
used here, so that the vectors are a second opinion.
"""

import json
from pathlib import Path

from tests.vectors import (
    datagrams,
    envelope_vectors,
    heartbeat_vectors,
    manifest_vectors,
    recall_vectors,
    repair_vectors,
    second_vectors,
    slabs,
    text_vectors,
    transfer_vectors,
)
from tests.vectors.datagrams import Vector

HOME = Path(__file__).parent


def folders() -> dict[str, dict[str, Vector]]:
    """All vectors: by folder, then by file name without suffix."""
    return {
        "wire": datagrams.vectors() | heartbeat_vectors.heartbeat_vectors() | heartbeat_vectors.two_key_vectors(),
        "slabs": slabs.scenarios(),
        "envelopes": envelope_vectors.envelopes(),
        "manifests": manifest_vectors.manifests(),
        "tables": manifest_vectors.tables(),
        "second": second_vectors.seconds(),
        "repair": repair_vectors.repairs(),
        "recalls": recall_vectors.recalls(),
        "texts": text_vectors.texts(),
        "transfers": transfer_vectors.transfers(),
    }


def text(content: Vector) -> str:
    """How a vector is written."""
    return json.dumps(content, indent=1) + "\n"


def main() -> None:
    """Write every file, and remove those of scenarios that are gone."""
    for folder, vectors in folders().items():
        (HOME / folder).mkdir(exist_ok=True)
        written = {f"{name}.json": text(content) for name, content in vectors.items()}
        for path in (HOME / folder).glob("*.json"):
            if path.name not in written:
                path.unlink()
        for name, content in written.items():
            (HOME / folder / name).write_text(content)


if __name__ == "__main__":
    main()
