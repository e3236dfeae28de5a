"""The order of versions of npm packages (Semantic Versioning 2.0.0, section 11)."""

Key = tuple[tuple[int, int, int], bool, tuple[tuple[bool, int, str], ...]]


def order_of(version: str) -> Key:
    """What versions are sorted by. Raises ValueError for what is no version."""
    core, _, before = version.partition("+")[0].partition("-")
    major, minor, patch = map(int, core.split("."))
    # numbers stand below words, and a shorter list below a longer one that begins with it
    words = tuple(
        (not word.isdigit(), int(word) if word.isdigit() else 0, "" if word.isdigit() else word)
        for word in before.split(".")
        if before
    )
    return (major, minor, patch), not before, words


def newest(versions: list[str]) -> str:
    """The newest of them; one that is no release only where there is none. Raises ValueError for an empty list."""
    return max(versions, key=lambda version: (order_of(version)[1], order_of(version)))
