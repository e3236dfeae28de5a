"""For whom a held bundle waits, in words. It loads nothing that verifies."""


def waits_for(people: int, *, scanned: bool) -> str:
    """What a bundle is held for, in words."""
    return " and ".join(["1 person" if people == 1 else f"{people} people"] * (people > 0) + ["the scanner"] * scanned)
