"""How large values can get and how large the noise is, stage by stage, before anything is encrypted.

Noise is the standard deviation of a slot's real part by the usual average-case estimates for CKKS
(Kim et al., eprint 2020/1118), with independent coefficients. Key switching leaves far more noise in a few
slots than in the others, so two deviations are followed: the root mean square over slots, and that in the
worst slot, which enters an output by way of one weight alone. Whatever multiplies noise is taken at the
largest magnitude at which the features can still be in range, so real frames see less.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.circuit import Affine, Power, WindowSum
from pvcnn.he.levels import Level, Rescaling, power_scales
from pvcnn.he.placement import AffinePlan, SumPlan
from pvcnn.he.schedule import Chain, PowerPlan, Stage
from pvcnn.program.private import PrivatePart

#: Deviation of SEAL's error distribution.
ERROR_DEVIATION = 3.2

#: A normal variable leaves this many deviations with probability 2e-9.
TAIL = 6.0

#: More than half of the largest secure modulus; its square is still a finite double.
_BEYOND_ANY_MODULUS = 2.0**500


@dataclass(frozen=True)
class Noise:
    """Deviations: the root mean square over all slots, and what the worst slot has besides."""

    usual: float
    worst: float = 0.0

    @property
    def total(self) -> float:
        return math.hypot(self.usual, self.worst)

    def plus(self, *others: Noise) -> Noise:
        """The sum with independent noise."""
        parts = (self, *others)
        return Noise(math.hypot(*(n.usual for n in parts)), math.hypot(*(n.worst for n in parts)))

    def times(self, usual: float, worst: float | None = None) -> Noise:
        """Multiplied; where many slots are summed, the worst one counts less than their norm."""
        return Noise(usual * self.usual, (usual if worst is None else worst) * self.worst)


class NoiseModel:
    """Noise terms at one degree and modulus chain (data primes in order, then the special one)."""

    def __init__(self, degree: int, moduli: tuple[int, ...]) -> None:
        self._degree = degree
        self._moduli = moduli

    def prime(self, primes: int) -> float:
        """The one that a rescaling divides by, with `primes` data primes left."""
        return float(self._moduli[primes - 1])

    def _slot(self, coefficient_variance: float, scale: float) -> float:
        """Deviation of a slot's real part from the variance of each coefficient."""
        return math.sqrt(coefficient_variance * self._degree / 2) / scale

    def fresh(self, scale: float) -> float:
        """Of a public-key encryption: v e + e_0 + e_1 s with v and s ternary."""
        return self._slot(ERROR_DEVIATION**2 * (4 * self._degree / 3 + 1), scale)

    def rounding(self, scale: float) -> float:
        """Of dividing by a prime, in the new scale: two rounded polynomials, one times s."""
        return self._slot((1 + 2 * self._degree / 3) / 12, scale)

    def key_switch(self, primes: int, scale: float) -> Noise:
        """Of a rotation or relinearisation with `primes` data primes left.

        SEAL's digits lie in [0, q_i) and not around zero: their mean square is q_i^2 / 3. The mean itself is
        a geometric sum at the encoder's roots, largest in slot 0, whose root is next to 1: there it outweighs
        their variance, N / 12, by N^2 / pi^2.
        """
        special, degree = self._moduli[-1], self._degree
        digits = ERROR_DEVIATION**2 * sum((modulus / special) ** 2 for modulus in self._moduli[:primes])
        usual = math.hypot(self._slot(digits * degree / 3, scale), self.rounding(scale))
        return Noise(usual, self._slot(digits * degree**2 / math.pi**2, scale))

    def encoding(self, magnitude: float, scale: float) -> float:
        """Of multiplying a value of this magnitude by a plaintext rounded to integers at `scale`."""
        return magnitude * self._slot(1 / 12, scale)


@dataclass(frozen=True)
class Reach:
    """The largest absolute value that slots hold before the first stage and after each.

    `values`: by calibration, where the private part has ranges, and else by what no frame can exceed.
    `relevant`: those at which the features can still be in range. `proved`: for each stage whether no frame
    can exceed its value.
    """

    values: tuple[float, ...]
    relevant: tuple[float, ...]
    proved: tuple[bool, ...]


def reach(chain: Chain, private: PrivatePart, feature_bound: float) -> Reach:
    """Raises ParameterError, naming the layer, for values that no modulus could hold."""
    values, proved = [private.pixel_bound], [True]
    for stage in chain.stages:
        try:
            value = _largest(stage, values[-1])
        except OverflowError:
            value = math.inf
        known = proved[-1]
        if private.ranges and stage is not chain.stages[-1]:
            step = stage.step
            taken = (private.ranges[step.layer] + float(np.abs(step.offset).max())) / abs(step.factor)
            if taken < value:
                value, known = taken, False
        if not value <= _BEYOND_ANY_MODULUS:
            layer = chain.stages[-2] if stage is chain.stages[-1] else stage
            raise ParameterError(f"{layer.name}: values may reach {value:.1g}")
        values.append(value)
        proved.append(known)
    return Reach(tuple(values), _relevant(chain, values, feature_bound), tuple(proved[1:]))


def _largest(stage: Stage, before: float) -> float:
    match stage.step.operation:
        case Affine(weight=weight, bias=bias):
            sums = np.abs(weight).sum((1, 2, 3)) * before + np.abs(bias).max((1, 2))
            return float(sums.max())
        case WindowSum(windows=windows):
            return before * windows.size
        case Power() as power:
            return _polynomial(power, before + _addend(power))


def _addend(power: Power) -> float:
    return 0.0 if power.addend is None else float(np.abs(power.addend).max())


def _polynomial(power: Power, magnitude: float) -> float:
    terms = (abs(c) * magnitude ** (power.degree - 1 - i) for i, c in enumerate(power.lower))
    return magnitude**power.degree + sum(terms)


def _slope(power: Power, magnitude: float) -> float:
    """A bound on the derivative."""
    degree = power.degree
    terms = ((degree - 1 - i) * abs(c) * magnitude ** (degree - 2 - i) for i, c in enumerate(power.lower))
    return degree * magnitude ** (degree - 1) + sum(terms)


def _relevant(chain: Chain, values: list[float], feature_bound: float) -> tuple[float, ...]:
    """At most what leaves the features within `feature_bound`.

    Back from the features to the last affine map: a mean of squares bounds their mean, and noise is averaged
    along with them, so the root mean square is the magnitude that counts before a square.
    """
    found = list(values)
    found[-1] = min(found[-1], feature_bound)
    for index in range(len(chain.stages) - 2, -1, -1):
        step = chain.stages[index].step
        bound = (feature_bound + float(np.abs(step.offset).max())) / abs(step.factor)
        found[index + 1] = min(found[index + 1], bound)
        if isinstance(step.operation, Power) and step.operation.degree == 2 and index:
            found[index] = min(found[index], math.sqrt(bound) + _addend(step.operation))
        if not isinstance(step.operation, WindowSum):
            break
    return tuple(found)


def estimates(
    chain: Chain, keeping: Rescaling, track: tuple[Level, ...], model: NoiseModel, reaches: tuple[float, ...]
) -> Iterator[float]:
    """Noise of the slots before the first stage and after each."""
    noise = Noise(model.fresh(track[0].scale))
    yield noise.total
    for index, stage in enumerate(chain.stages):
        level, after, before = track[index], track[index + 1], reaches[index]
        match stage.plan:
            case AffinePlan():
                noise = _affine_noise(stage, level, after, model, before, noise)
            case SumPlan(stages=stages):
                for turns in stages:
                    switched = model.key_switch(level.primes, level.scale)
                    noise = noise.plus(switched).times(math.sqrt(len(turns) + 1), 1.0)
            case PowerPlan(merges=merges):
                noise = _power_noise(stage, level, after, model, before, noise, index in keeping)
                noise = noise.times(math.sqrt(2) if merges else 1.0)
        yield noise.total


def _affine_noise(
    stage: Stage, level: Level, after: Level, model: NoiseModel, before: float, noise: Noise
) -> Noise:
    operation, plan = stage.step.operation, stage.plan
    assert isinstance(operation, Affine)
    assert isinstance(plan, AffinePlan)
    diagonals = plan.diagonals
    turned = noise.plus(model.key_switch(level.primes, level.scale)) if diagonals.babies else noise
    norm = float(np.sqrt((operation.weight**2).sum((1, 2, 3))).max())
    carried = turned.times(norm, float(np.abs(operation.weight).max()))
    products = max(Counter(term.output_ciphertext for term in diagonals.terms).values())
    giants = max(Counter(output for output, _ in diagonals.giants).values(), default=0)
    late = len(diagonals.folds) + diagonals.conjugates
    summed = math.sqrt(2.0 ** len(diagonals.folds)) * (2.0 if diagonals.conjugates else 1.0)
    coded = math.sqrt(products) * model.encoding(math.hypot(before, turned.total), level.plaintext_scale)
    moved = model.key_switch(level.primes, level.scale * level.plaintext_scale).times(math.sqrt(giants))
    rounded, rounding = Noise(coded), Noise(model.rounding(after.scale))
    if level.folds_early:
        switched = model.key_switch(level.primes, level.scale * level.plaintext_scale).times(math.sqrt(late))
        return carried.plus(moved.plus(rounded, switched).times(summed), rounding)
    switched = model.key_switch(after.primes, after.scale).times(math.sqrt(late))
    return carried.plus(moved.plus(rounded, rounding, switched).times(summed))


def _power_noise(
    stage: Stage,
    level: Level,
    after: Level,
    model: NoiseModel,
    before: float,
    noise: Noise,
    keeps: bool,
) -> Noise:
    power = stage.step.operation
    assert isinstance(power, Power)
    magnitude = before + _addend(power)
    carried = noise.times(_slope(power, magnitude)).plus(Noise(noise.total**power.degree))
    last = Noise(0.0 if keeps else model.rounding(after.scale))
    switched = model.key_switch(level.primes, level.scale**2)
    if power.degree == 2:
        return carried.plus(switched, last)
    # A square whose power keeps its scale at the end has a scale below the level's.
    square_scale, product_scale = power_scales(power, level.scale, [model.prime(level.primes)])
    rounding = model.rounding(square_scale)
    inner = switched.plus(Noise(rounding))
    other = magnitude + abs(power.lower[0])
    coded = model.encoding(magnitude, product_scale / level.scale)
    if power.degree == 4:
        other = 2 * magnitude**2 + abs(power.lower[0]) * magnitude + abs(power.lower[1])
        middle = math.hypot(model.encoding(magnitude, level.scale), rounding)
        coded = math.hypot(coded, middle * magnitude**2)
    again = model.key_switch(level.primes - 1, product_scale)
    return carried.plus(inner.times(other), again, Noise(coded), last)
