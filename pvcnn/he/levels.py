"""Which prime each rescaling uses up, and the scale before every stage.

Usually a power is rescaled, and so is the affine map behind it: two primes of about the scale's bits, s. A
power can also keep its doubled scale, 2^2t, until the affine map, with plaintexts of scale 2^(s + 60 - 2t),
is rescaled to 2^s by one prime of 60 bits; t, the scale before the power, is then less than s. The chain is
shorter by a prime, and everything before it cheaper, at the price of precision. Which powers do so is a
`Rescaling`; the planner takes the cheapest that is precise enough.

At a scale of 2^t, key switching would leave too much noise. The affine map before such a power therefore
folds its sums and adds their conjugate before it rescales them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

from pvcnn.he.circuit import Affine, Power
from pvcnn.he.primes import MAX_PRIME_BITS
from pvcnn.he.schedule import Chain, Stage

_MOST_KEPT = 3

#: The numbers of the stages whose power keeps its last product's scale.
Rescaling: TypeAlias = frozenset[int]


@dataclass(frozen=True)
class Level:
    """Before a stage: data primes that are left, and the ciphertexts' scale.

    `plaintext_scale` is the scale of an affine map's weights, chosen such that the product, rescaled,
    comes out at the nominal scale. `folds_early`: whether an affine map folds before it rescales.
    """

    primes: int
    scale: float
    plaintext_scale: float
    folds_early: bool = False


def rescalings(chain: Chain) -> Iterator[Rescaling]:
    """The ways to go about it that are tried: any of the last powers, whose rescaling costs all before it."""
    able = [i for i in range(len(chain.stages)) if _may_keep(chain.stages, i)][-_MOST_KEPT:]
    for count in range(len(able) + 1):
        for chosen in combinations(able, count):
            yield frozenset(chosen)


def _may_keep(stages: tuple[Stage, ...], index: int) -> bool:
    if not isinstance(stages[index].step.operation, Power):
        return False
    for stage in stages[:index][::-1]:  # its scale is that to which the affine map before rescales
        if isinstance(stage.step.operation, Affine):
            break
        if isinstance(stage.step.operation, Power):
            return False
    else:
        return False
    for stage in stages[index + 1 :]:
        if isinstance(stage.step.operation, Affine):
            return True
        if isinstance(stage.step.operation, Power):
            return False
    return False


def dropped(chain: Chain, keeping: Rescaling) -> tuple[int, ...]:
    """How many primes each stage uses up."""
    return tuple(stage.rescalings - (i in keeping) for i, stage in enumerate(chain.stages))


def prime_bits(chain: Chain, keeping: Rescaling, scale_bits: int) -> tuple[int, ...]:
    """Bits of the data primes behind the first, in the order in which they stand (the last is used first)."""
    sizes: list[int] = []
    kept = False
    for i, stage in enumerate(chain.stages):
        is_affine = isinstance(stage.step.operation, Affine)
        sizes += [MAX_PRIME_BITS if is_affine and kept else scale_bits] * (stage.rescalings - (i in keeping))
        kept = (kept and not is_affine) or i in keeping
    return tuple(reversed(sizes))


def levels(
    chain: Chain,
    keeping: Rescaling,
    moduli: tuple[int, ...],
    nominal_scale: float,
    inner_bits: Mapping[int, int],
) -> tuple[Level, ...]:
    """The level before each stage, and at the end the answer's.

    The moduli are the data primes followed by the special prime; every rescaling drops the last data prime.
    inner_bits: for each stage of `keeping`, the scale before it, t in 2^t.
    """
    primes, scale = len(moduli) - 1, nominal_scale
    found = []
    early = folding_early(chain, keeping)
    for index, drops in enumerate(dropped(chain, keeping)):
        last = [float(modulus) for modulus in moduli[primes - drops : primes]][::-1]
        operation = chain.stages[index].step.operation
        plaintext_scale = nominal_scale
        following = scale
        if isinstance(operation, Affine):
            power = _next_power(chain.stages, index)
            following = 2.0 ** inner_bits[power] if power in keeping else nominal_scale
            plaintext_scale = following * last[0] / scale
        elif isinstance(operation, Power):
            following = power_scales(operation, scale, last)[-1]
        found.append(Level(primes, scale, plaintext_scale, index in early))
        scale = following
        primes -= drops
    return (*found, Level(primes, scale, nominal_scale))


def folding_early(chain: Chain, keeping: Rescaling) -> frozenset[int]:
    """The stages whose affine maps fold before they rescale."""
    return frozenset(
        index
        for index, stage in enumerate(chain.stages)
        if isinstance(stage.step.operation, Affine) and _next_power(chain.stages, index) in keeping
    )


def _next_power(stages: tuple[Stage, ...], index: int) -> int:
    """The stage of the power that an affine map's outputs go to first; -1 if there is none."""
    for i in range(index + 1, len(stages)):
        if isinstance(stages[i].step.operation, Power):
            return i
        if isinstance(stages[i].step.operation, Affine):
            break
    return -1


def power_scales(power: Power, scale: float, primes: list[float]) -> list[float]:
    """The scales of a power's products, each rescaled by the next prime while there are primes."""
    square = scale**2 / (primes[0] if primes else 1.0)
    if power.degree == 2:
        return [square]
    product = square * (scale if power.degree == 3 else square)
    return [square, product / (primes[1] if len(primes) > 1 else 1.0)]
