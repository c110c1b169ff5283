"""The tables of Requantise layers: activation, saturation and a change of scale in one lookup.

Activations without a bend other than at zero are positively homogeneous, f(c x) = c f(x) for c > 0, so
any scale passes through them, and one that differs by channel too: one table serves all layers with
the same function. Other activations fix the scale of what they are looked up with, the same for
all channels. It is a power of two, so that layers whose ranges are near share a table.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from pvcnn.partition.float_graph.activations import Activation
from pvcnn.program.bounds import Range
from pvcnn.program.table import Table

#: A table maps signed integers q of DOMAIN_BITS to signed integers of ACTIVATION_BITS. A proof costs as
#: much for 8-bit activations, which lose 12 dB: products may be large, only table domains must be small.
DOMAIN_BITS = 12
ACTIVATION_BITS = 10
#: Of the values of tables that need one scale for all channels: quiet ones must keep some bits. More bits
#: cost nothing, except where maxima are taken.
FUNCTION_BITS = 13
#: The domain of a ReLU that saturates at a given value may be this large: one serves all channels and layers.
CAPPED_DOMAIN_BITS = 14
#: The largest q, nearly: half the size of a domain.
DOMAIN_PEAK = 1 << (DOMAIN_BITS - 1)
ACTIVATION_PEAK = (1 << (ACTIVATION_BITS - 1)) - 1
FUNCTION_PEAK = (1 << (FUNCTION_BITS - 1)) - 1
#: How many times as large as in calibration a value may be (activations saturate) before it is a
#: RangeError and the submission is refused.
HEADROOM = 2.0

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

DOMAIN: Range = (-DOMAIN_PEAK, DOMAIN_PEAK - 1)


@cache
def activation_table(slope: float, domain_bits: int = DOMAIN_BITS) -> Table:
    """f(q) = round(leaky(q)), clipped to the activations' range; slope 1 is the identity.

    Equal for all layers with the same slope, so they share one lookup argument.
    """
    half = 1 << (domain_bits - 1)
    q = np.arange(-half, half, dtype=np.float64)
    return Table(-half, _clipped(np.where(q > 0, q, slope * q), ACTIVATION_PEAK))


def function_table(activation: Activation, step: float, unit: float, domain: Range = DOMAIN) -> Table:
    """f(q) = round(activation(q step) / unit) for the q of `domain`, clipped to the functions' range."""
    q = torch.arange(domain[0], domain[1] + 1, dtype=torch.float64)
    return Table(domain[0], _clipped(activation.function(q * step).numpy() / unit, FUNCTION_PEAK))


def domain_bits(peak: float, limit: float) -> int:
    """Of the domain of a ReLU that saturates at `limit`, where calibration saw magnitudes up to `peak`."""
    room = HEADROOM * peak / limit * ACTIVATION_PEAK / DOMAIN_PEAK
    return DOMAIN_BITS + (max(0, math.ceil(math.log2(room))) if room else 0)


def slope(activation: Activation) -> float:
    """Below zero, of a positively homogeneous activation, or one that is so until it saturates."""
    match activation.kind:
        case "identity":
            return 1.0
        case "leaky_relu":
            return activation.parameter
        case _:
            return 0.0


def cap(activation: Activation) -> float | None:
    """Where an activation that is otherwise ReLU saturates."""
    if activation.kind == "relu6":
        return 6.0
    if activation.kind == "hardtanh" and activation.parameter == 0 and activation.upper > 0:
        return activation.upper
    return None


def bound(activation: Activation) -> float | None:
    """The largest magnitude that the activation reaches, whatever it is given; None if there is none."""
    match activation.kind:
        case "sigmoid" | "tanh" | "hardsigmoid":
            return 1.0
        case "relu6":
            return 6.0
        case "hardtanh":
            return max(abs(activation.parameter), abs(activation.upper))
        case _:
            return None


def unit(activation: Activation, reach: float) -> float:
    """The scale of an activation's integers, for arguments up to `reach` in magnitude."""
    largest = bound(activation)
    if largest is None:
        arguments = torch.linspace(-reach, reach, 129, dtype=torch.float64)
        largest = float(activation.function(arguments).abs().max())
    return (largest or 1.0) / FUNCTION_PEAK


def power_of_two(value: float) -> float:
    """The least power of two that is no less than a positive `value`; 2^-16 for 0."""
    return 2.0 ** math.ceil(math.log2(value)) if value > 0 else 2.0**-16


def unsaturated(table: Table) -> Range:
    """The q between the table's flat ends, where it is clipped: those ends lose what distinguished values."""
    steps = np.flatnonzero(np.diff(table.values))
    low, high = table.low, table.high
    if len(steps) and _is_clipped(int(table.values[0])):
        low += int(steps[0])
    if len(steps) and _is_clipped(int(table.values[-1])):
        high = table.low + int(steps[-1]) + 1
    return low, high


def _is_clipped(value: int) -> bool:
    return value in (ACTIVATION_PEAK, -ACTIVATION_PEAK - 1, FUNCTION_PEAK, -FUNCTION_PEAK - 1)


def _clipped(values: Floats, peak: int) -> Integers:
    return np.clip(np.floor(values + 0.5), -peak - 1, peak).astype(np.int64)
