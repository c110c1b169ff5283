"""Private parts as operations on slots, which come out the same to the last bit wherever they are made."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from pvcnn.he.circuit import Affine, steps
from pvcnn.program.private import PrivateAveragePool, PrivatePart, PrivatePolynomial
from pvcnn.program.private_layers import apply
from pvcnn.program.windows import Windows
from tests.he.parts import convolution, linear, private_part


def shifted_part() -> PrivatePart:
    """Constants of polynomials go through a convolution in groups, a padded pool and a linear layer."""
    return private_part(
        (1, 12, 12),
        [
            convolution("first", 6, 1),
            PrivatePolynomial("quadratic", np.array([0.37, 0.51, -0.3])),
            convolution("second", 4, 6, 1, Windows((3, 2), (2, 1), (1, 0, 2, 1)), groups=2),
            PrivatePolynomial("cubic", np.array([0.3, 0.2, -0.1, 0.7])),
            PrivateAveragePool("padded", Windows.square(2, 2, 1), 4),
            PrivatePolynomial("shift", np.array([0.1, 0.3, 0.0])),
            linear("last", 5, 4 * 4 * 8),
        ],
    )


def numbers(part: PrivatePart) -> bytes:
    maps = [step.operation for step in steps(part) if isinstance(step.operation, Affine)]
    return b"".join(each.weight.tobytes() + each.bias.tobytes() for each in maps)


def test_offsets_go_through_affine_maps() -> None:
    part = shifted_part()
    before = np.zeros((1, *part.input_shape))
    for layer in part.layers[:2]:
        before = apply(layer, before)
    power, second = steps(part)[1:3]
    assert isinstance(second.operation, Affine)
    expected = apply(part.layers[2], power.offset[None])[0]
    np.testing.assert_allclose(second.operation.bias + second.offset, expected, rtol=1e-12)


@pytest.mark.parametrize("kernels", ["Prescott", "Haswell", "Nehalem"])
def test_another_processors_kernels_make_no_difference(kernels: str) -> None:
    """An auditor makes answers again, bit for bit, where linear algebra rounds otherwise."""
    code = "from tests.he.test_circuit import *; import sys; sys.stdout.write(numbers(shifted_part()).hex())"
    environment = os.environ | {"OPENBLAS_CORETYPE": kernels, "PYTHONPATH": os.pathsep.join(sys.path)}
    made = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True
    )
    assert made.stdout == numbers(shifted_part()).hex()
