"""``python -m tests.oneway``."""

import sys

from tests.oneway.proof import main

sys.exit(main())
