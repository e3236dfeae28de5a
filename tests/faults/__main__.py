"""``python -m tests.faults``: see harness.py, whose functions the worker processes import."""

import sys

from tests.faults.harness import main

try:
    sys.exit(main())
except KeyboardInterrupt:
    sys.exit(130)
