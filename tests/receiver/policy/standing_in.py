"""``receiver.policy.examine`` with a kind of identity material that stands in for a real one."""

from receiver.policy import examine
from tests.material import stand_in


def main() -> None:
    """Entry point, as the worker's own."""
    stand_in()
    examine.main()
