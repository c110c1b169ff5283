"""Derived values: known linear functions of stage-one wires, which are no wires.

A convolution with published weights is part of the circuit, like a coefficient of a row: its outputs need no
wire and no constraint. Rows name them in views as if they were wires; where a row is evaluated, the map is
applied, and nowhere is an entry stored for each product of a weight and an input.

Why a cheating prover fails: there is nothing to choose. A row that names a derived value has the linear
combination of committed wires that it stands for, with coefficients that setup put into the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.program.inference import LayerTrace
from pvcnn.program.linear_maps import LinearMap
from pvcnn.qmp.views import View

Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Derivation:
    """`map` of `argument` (frames, *map.inputs); `wires` are the numbers of its outputs, ascending, below 0.

    It is also the hint that computes them. The argument may show values that were derived before.
    """

    name: str
    map: LinearMap
    argument: View
    wires: Integers

    @property
    def peak(self) -> int:
        """Bounds every partial sum in magnitude."""
        return self.map.forward_gain * self.argument.magnitude

    def values(self, layers: Sequence[LayerTrace], stage_one: Integers) -> Integers:
        """From wires alone, whatever the inference says: a hint (`pvcnn.qmp.hints`)."""
        return self.map.times_integers(self.argument.evaluate(stage_one)).reshape(-1)
