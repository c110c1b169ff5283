"""Whether a program can be one for given powers, before anything is compiled.

A few hundred bytes can describe layers with 2^28 weights, and compiling them takes minutes and gigabytes. Who
is handed a ceremony's folder should not have to: its powers say how large the circuit may be at most.
"""

from __future__ import annotations

import math
from typing import Final

from pvcnn.program.program import Program

#: Committed wires a constraint: each owns a place in one of its three combinations (`pvcnn.qmp.peeling`).
_WIRES: Final = 3
#: Values a constraint. Views take none, but whoever makes views of values activates most of them later; the
#: catalogue's networks have less than ten.
_VALUES: Final = 256


def check_size(program: Program, frames: int, published: bool, domain: int) -> None:
    """Raises ValueError if the circuit of `frames` runs of `program` certainly has more than `domain`
    constraints, or a program makes far more values than so many constraints are needed for.

    published: whether its weights are coefficients and no wires.
    """
    weights = 0 if published else sum(math.prod(layer.weight_shape) for layer in program.affine_layers)
    wires = weights + frames * math.prod(program.input_shape)
    values = frames * sum(map(math.prod, program.shapes))
    if wires > _WIRES * domain or values > _VALUES * domain:
        raise ValueError(
            f"the circuit needs powers for more than 2^{domain.bit_length() - 1} constraints: "
            f"{wires} weights and features, {values} values"
        )
