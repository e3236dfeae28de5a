"""As ``taken_intake``, without a sandbox: so it is seen that the attacks are attacks."""

from diode.process import confined
from sender.intake import examine
from tests.sandbox import taken_intake


def main() -> None:
    """Entry point, as the child's own."""
    confined.bind = lambda *_, **__: []
    vars(examine)["confine"] = lambda *_, **__: []
    taken_intake.main()
