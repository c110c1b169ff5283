"""scripts/verify_aggregate.py as a module: it is a program, so it is loaded by its path."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "verify_aggregate.py"


@cache
def load() -> Any:
    """The script's module."""
    spec = importlib.util.spec_from_file_location("standalone_verifier", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
