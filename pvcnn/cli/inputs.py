"""Models and arrays that several commands are given."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np


def load_model(path: str) -> Any:
    """What a function returns; the path itself for an ONNX file."""
    if path.endswith(".onnx"):
        return path
    module, separator, name = path.partition(":")
    if not separator:
        raise click.UsageError(f"--model {path!r}: expected MODULE:FUNCTION or FILE.onnx")
    try:
        return getattr(import_module(module), name)()
    except (ImportError, AttributeError) as error:
        raise click.UsageError(f"--model {path!r}: {error}") from error


def read_array(path: Path) -> np.ndarray[Any, np.dtype[Any]]:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise click.UsageError(f"{path}: not an array that NumPy reads without pickle") from error
    if not isinstance(loaded, np.ndarray):
        raise click.UsageError(f"{path}: expected one array, as numpy.save writes it")
    return loaded
