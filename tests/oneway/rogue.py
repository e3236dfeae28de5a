"""A rogue process on the high side. Run as a script there: ``rogue.py N [WAY]`` prints how often it tried."""

import sys

from diode.doctor.rogue import Rogue
from tests.oneway.line import HIGH, LOW

if __name__ == "__main__":
    print(*Rogue("high", HIGH, LOW).run(int(sys.argv[1]), *sys.argv[2:]))
