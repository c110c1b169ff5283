"""How a scale for accumulators is chosen: weights and tables should both use all of their bits.

An accumulator is `integer * scale[channel]`, and behind it q = round(accumulator / 2^shift) is looked up.
Scales below what weights resolve ("finest") need more weight bits; scales above it waste some.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pvcnn.partition.quantisation.tables import ACTIVATION_PEAK, power_of_two
from pvcnn.program.layers import MAX_MULTIPLIER, MAX_SHIFT

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

#: Weights may have so many more bits where one scale for all channels would leave some with very few.
SPARE_BITS = 4
#: Integer multipliers stand for ratios of scales to within this, relatively.
TOLERANCE = 2.0**-8
#: A scale may be made coarser to be a whole fraction of another, if that fraction is no more than 1/8.
_COARSENING = 8


@dataclass(frozen=True, eq=False)
class Choice:
    """(channels,) of an accumulator, the shift behind it, and by how much weights may exceed their bits."""

    scale: Floats
    shift: int
    spare_bits: int = 0


class OverCap(Exception):  # noqa: N818 - caught by the planner
    """No scale for each channel is fine enough for a table that saturates at a given value."""


def free(finest: Floats, levels: Floats, cap: float | None) -> Choice:
    """Each channel's own scale: as fine as weights allow, unless the table would saturate below its level.

    `levels`: the magnitudes at which the table may saturate; `cap`: where it must at the latest.
    """
    shift = shift_for(finest, levels)
    spare = 0
    if cap is not None:
        over = float(finest.max(initial=0.0)) * (ACTIVATION_PEAK << shift) / cap
        spare = max(0, math.ceil(math.log2(over))) if over else 0
        if spare > SPARE_BITS:
            raise OverCap
        finest = np.minimum(finest, cap / (ACTIVATION_PEAK << shift))
    return Choice(np.maximum(finest, levels / (ACTIVATION_PEAK << shift)), shift, spare)


def in_proportion(profile: Floats, finest: Floats, levels: Floats, others: Sequence[float]) -> Choice:
    """Scales in proportion to `profile`, of which the summands' scales, others * profile, are multiples."""
    weights = float((finest / profile).max(initial=0.0))
    level = float((levels / profile).max(initial=0.0))
    if weights:
        shift = shift_for(np.array([weights]), np.array([level]))
        step = max(weights, level / (ACTIVATION_PEAK << shift), 2 * max(others, default=0.0) / MAX_MULTIPLIER)
    else:
        step = min(others, default=level / ACTIVATION_PEAK or 1.0)
        wanted = level / (ACTIVATION_PEAK * step)
        shift = _within_shifts(math.ceil(math.log2(wanted))) if wanted else 0
    fine, more = commensurable(step, others, MAX_SHIFT - shift, adjustable=weights > 0)
    return Choice(profile * fine, shift + more)


def uniform(finest: Floats, step: float, others: Sequence[float]) -> Choice:
    """One scale for all channels, 2^-shift times a power of two that is no less than `step`."""
    spare = _spare_bits(finest)
    weights = float(finest.max(initial=0.0)) / (1 << spare)
    domain = power_of_two(max(step, weights))
    finer = weights or min(others, default=domain)
    shift = _within_shifts(math.floor(math.log2(domain / finer)))
    fine, more = commensurable(domain / (1 << shift), others, MAX_SHIFT - shift, adjustable=False)
    return Choice(np.full(len(finest), fine), shift + more, spare)


def revealed(profile: Floats, finest: Floats, others: Sequence[float]) -> Choice:
    """For a model's output, behind which no table follows: as fine as weights allow."""
    weights = float((finest / profile).max(initial=0.0))
    step = weights or min(others, default=1.0)
    fine, _ = commensurable(step, others, MAX_SHIFT, adjustable=weights > 0)
    return Choice(profile * fine, 0)


def commensurable(step: float, others: Sequence[float], room: int, adjustable: bool) -> tuple[float, int]:
    """A scale near step / 2^k, of which all `others` are integer multiples within TOLERANCE; and k <= `room`.

    An adjustable one is made a little coarser, so that the first of `others` is an exact multiple.
    """
    fine, halvings = step, 0
    for halvings in range(room + 1):
        fine = step / (1 << halvings)
        whole = math.floor(others[0] / fine * (1 + 1e-12)) if others else 0
        if adjustable and whole >= _COARSENING:
            fine = others[0] / whole
        if all(_is_whole(other / fine) for other in others):
            break
        if 2 * max(others) / fine >= MAX_MULTIPLIER:
            break
    return fine, halvings


def multiplier(ratio: float) -> int:
    """The integer for a positive ratio of scales; 1 for none."""
    return max(1, round(ratio))


def shift_for(finest: Floats, levels: Floats) -> int:
    """The shift that brings accumulators of the finest weights nearest to what a table saturates at."""
    accumulators = levels[finest > 0] / finest[finest > 0]
    if not accumulators.any():
        return 0
    return _within_shifts(round(math.log2(float(np.median(accumulators)) / ACTIVATION_PEAK)))


def largest_of_each(values: Floats, labels: Integers) -> Floats:
    """For each channel the largest value of all channels with its label."""
    largest = np.zeros(int(labels.max()) + 1)
    np.maximum.at(largest, labels, values)
    found: Floats = largest[labels]
    return found


def proportion(scale: Floats, profile: Floats) -> float | None:
    """scale / profile if it is the same for all channels, but those of scale 0; None otherwise."""
    ratios = scale[scale > 0] / profile[scale > 0]
    if not len(ratios):
        return 0.0
    low, high = float(ratios.min()), float(ratios.max())
    return None if high > low * (1 + 1e-9) else high


def are_reached(levels: Floats, choice: Choice) -> bool:
    """Whether a table behind saturates no lower than at `levels`."""
    return bool((levels <= choice.scale * (ACTIVATION_PEAK << choice.shift) * (1 + 1e-9)).all())


def is_multiple(scale: Floats, other: Floats) -> bool:
    """Whether an allowed integer times `other` is about `scale`, where that is not 0."""
    ratio = proportion(scale, other)
    return ratio is not None and (ratio == 0 or (_is_whole(ratio) and ratio <= MAX_MULTIPLIER))


def _is_whole(ratio: float) -> bool:
    return abs(round(ratio) - ratio) <= TOLERANCE * ratio


def _within_shifts(exponent: int) -> int:
    return min(max(exponent, 0), MAX_SHIFT)


def _spare_bits(finest: Floats) -> int:
    """Bits by which the weights of quiet channels would fall short, if that is two at least."""
    alive = finest[finest > 0]
    if not len(alive):
        return 0
    short = math.floor(math.log2(float(alive.max()) / float(np.quantile(alive, 0.25))))
    return min(short, SPARE_BITS) if short >= 2 else 0
