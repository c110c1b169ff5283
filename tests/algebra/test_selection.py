"""Which kernels a process gets."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pvcnn.algebra.kernels.selection import NEEDED_FEATURES, Kernels, choose

ALL = dict.fromkeys(NEEDED_FEATURES, True)


def test_lanes_where_the_processor_has_them() -> None:
    assert choose("auto", ALL) is Kernels.IFMA
    assert choose("ifma", ALL) is Kernels.IFMA
    assert choose("portable", ALL) is Kernels.PORTABLE


@pytest.mark.parametrize("missing", NEEDED_FEATURES)
def test_without_one_instruction_lanes_are_refused_and_never_chosen(missing: str) -> None:
    for features in ({**ALL, missing: False}, {name: True for name in ALL if name != missing}):
        assert choose("auto", features) is Kernels.PORTABLE
        assert choose("portable", features) is Kernels.PORTABLE
        with pytest.raises(RuntimeError, match=f"lacks {missing}"):
            choose("ifma", features)


def test_other_values_are_refused() -> None:
    with pytest.raises(ValueError, match="PVCNN_KERNELS"):
        choose("fast", ALL)


PRINT = "from pvcnn.algebra.kernels import selection; print(selection.KERNELS.value)"


@pytest.mark.parametrize(("value", "expected"), [("portable", "portable"), ("", "auto")])
def test_the_environment_chooses(value: str, expected: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", PRINT],
        env={**os.environ, "PVCNN_KERNELS": value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == expected or expected == "auto"
    wrong = {**os.environ, "PVCNN_KERNELS": "fast"}
    assert subprocess.run(
        [sys.executable, "-c", PRINT], env=wrong, capture_output=True, check=False
    ).returncode
