"""Which kernels run: those on eight lanes need a processor with the AVX-512 IFMA instructions.

PVCNN_KERNELS chooses: `ifma`, `portable`, or `auto` (the default), which is `ifma` where it can run. Its
value is read once, at import.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Final

import numba
from llvmlite import binding

VARIABLE: Final = "PVCNN_KERNELS"
#: What LLVM calls the instructions that the kernels on eight lanes consist of.
NEEDED_FEATURES: Final = ("avx512f", "avx512dq", "avx512vl", "avx512ifma")


class Kernels(Enum):
    """The two implementations, which give the same results bit by bit."""

    IFMA = "ifma"
    PORTABLE = "portable"


def choose(wanted: str, features: Mapping[str, bool]) -> Kernels:
    """The kernels for a value of PVCNN_KERNELS on a processor with these features.

    Raises ValueError for another value, and RuntimeError where the processor lacks what is asked for:
    an instruction that it does not know would end the process.
    """
    missing = [name for name in NEEDED_FEATURES if not features.get(name, False)]
    match wanted:
        case "auto":
            return Kernels.PORTABLE if missing else Kernels.IFMA
        case "portable":
            return Kernels.PORTABLE
        case "ifma":
            if missing:
                raise RuntimeError(
                    f"{VARIABLE}=ifma, but this processor lacks {', '.join(missing)}: use auto or portable"
                )
            return Kernels.IFMA
    raise ValueError(f"{VARIABLE} must be auto, ifma or portable, not {wanted!r}")


def compiled_features() -> dict[str, bool]:
    """The features that Numba compiles for: the processor's, or what NUMBA_CPU_FEATURES says."""
    host = dict(binding.get_host_cpu_features())
    config: Any = numba.config
    if config.CPU_NAME is None and config.CPU_FEATURES is None:
        return host
    named = (config.CPU_FEATURES or "").split(",")
    return {name: present and f"+{name}" in named for name, present in host.items()}


#: The kernels of this process.
KERNELS: Kernels = choose(os.environ.get(VARIABLE) or "auto", compiled_features())


@contextmanager
def use(kernels: Kernels) -> Iterator[None]:
    """Other kernels in this process for a while, to test or measure them. Not for several threads."""
    global KERNELS
    before, KERNELS = KERNELS, kernels
    try:
        yield
    finally:
        KERNELS = before
