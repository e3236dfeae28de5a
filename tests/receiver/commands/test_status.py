"""What ``diode-receiver status`` says of a bundle on its way."""

from receiver.commands.status import Progress


def test_programs_read_the_names_that_they_always_read() -> None:
    """The word in this JSON is older than the one in our texts, and stays."""
    assert {"stored": 3, "parked": 2} == Progress(stored=3, spilled=2).said
