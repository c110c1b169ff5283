"""How the kernels are compiled: Numba's decorators, typed, without the interpreter lock, cached on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic as _numba_intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])

#: Numba's types; they are untyped themselves.
types: Any = numba.types


def kernel(function: Function) -> Function:
    """Compiles a function at its first call; other threads of Python run while it does."""
    compiled: Any = numba.njit(nogil=True, cache=True)(function)
    return cast(Function, compiled)


def intrinsic(function: Callable[..., Any]) -> Any:
    """A function that kernels call and that emits LLVM code itself (`numba.extending.intrinsic`)."""
    return _numba_intrinsic(function)
