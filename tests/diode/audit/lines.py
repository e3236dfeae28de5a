"""The lines of an audit log, whole."""

from pathlib import Path


def lines_of(folder: Path) -> list[bytes]:
    """Lines of its only segment, with their newlines."""
    return (folder / "audit-000001.jsonl").read_bytes().splitlines(keepends=True)
