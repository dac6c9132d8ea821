"""Where the servers of the tests' own are made."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "runtime" / "postgres"))
