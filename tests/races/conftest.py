"""Tests with many processes that want the same thing at once."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # `faults.…`, in tests and in the processes that they start

from faults.support import store, world  # noqa: F401
