"""Which kernels run, and that a processor without the instructions is told so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pvcnn.algebra.kernels.selection import NEEDED_FEATURES, Kernels, choose, compiled_features

ALL = dict.fromkeys(NEEDED_FEATURES, True)


def test_auto_takes_what_the_processor_can() -> None:
    assert choose("auto", ALL) is Kernels.IFMA
    assert choose("auto", {}) is Kernels.PORTABLE
    for name in NEEDED_FEATURES:
        assert choose("auto", ALL | {name: False}) is Kernels.PORTABLE


def test_a_wish_is_granted_or_refused() -> None:
    assert choose("portable", ALL) is Kernels.PORTABLE
    assert choose("ifma", ALL) is Kernels.IFMA
    for name in NEEDED_FEATURES:
        with pytest.raises(RuntimeError, match=f"lacks {name}: use auto or portable"):
            choose("ifma", ALL | {name: False})
    with pytest.raises(ValueError, match="auto, ifma or portable, not 'avx'"):
        choose("avx", ALL)


def start(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | variables
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )


def test_forcing_the_portable_kernels() -> None:
    code = "import sys, pvcnn.algebra.curve; assert 'pvcnn.algebra.ifma_batches' not in sys.modules"
    result = start(code, PVCNN_KERNELS="portable")
    assert result.returncode == 0, result.stderr


def test_what_numba_does_not_compile_for_is_not_used() -> None:
    """With NUMBA_CPU_NAME the compiler knows fewer instructions than the processor has."""
    result = start("import pvcnn.algebra.curve", PVCNN_KERNELS="ifma", NUMBA_CPU_NAME="generic")
    assert result.returncode == 1
    assert "this processor lacks avx512f" in result.stderr


def test_features_are_named_as_llvm_names_them() -> None:
    assert set(NEEDED_FEATURES) <= set(compiled_features()) or "avx2" not in compiled_features()
