"""How the kernels are compiled: Numba's decorators, typed, and a disk cache that knows all sources."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic as _numba_intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

#: Numba's types; they are untyped themselves.
types: Any = numba.types


def _digest_of_sources() -> str:
    hasher = hashlib.sha256()
    here = Path(__file__).parent
    for path in (here.parent / "constants.py", *sorted(here.rglob("*.py"))):
        hasher.update(path.relative_to(here.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return hasher.hexdigest()


#: Changes whenever any kernel's source does.
SOURCES_DIGEST = _digest_of_sources()


def kernel(function: Function) -> Function:
    """Compiles a function at its first call, to run without the interpreter lock.

    The machine code is cached on disk. Numba's cache looks at a function's own file alone, and would
    keep code that was compiled from an older version of what the function calls: so the stamp that
    it compares is extended by the digest of all sources.
    """
    compiled: Any = numba.njit(nogil=True, cache=True)(function)
    cache_file = compiled._cache._cache_file
    cache_file._source_stamp = (cache_file._source_stamp, SOURCES_DIGEST)
    return cast(Function, compiled)


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function that kernels call and that emits LLVM code itself (`numba.extending.intrinsic`)."""
    return _numba_intrinsic(function)
