"""Chooses encryption parameters for a private part (docs/protocol.md, section "Private part").

The smallest degree is taken at which everything fits: the frame and the outputs into the slots, the chain's
depth into the modulus that 128-bit security allows, every value under the primes that are left, and the
noise under the features' quantisation step with room for flooding. At that degree, of the ways to lay out
tensors and to rescale, the one that is predicted to take least time.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from pvcnn.errors import ParameterError
from pvcnn.he.circuit import Affine, Power, steps
from pvcnn.he.costs import Costs
from pvcnn.he.encryption_plan import (
    FLOODING_FRACTION,
    MAX_CHANNELS,
    MAX_LAYERS,
    MAX_SCALE_BITS,
    MAX_SIDE,
    OUTPUT_HEADROOM_BITS,
    EncryptionPlan,
    LayerReport,
    SwitchingKey,
)
from pvcnn.he.levels import Level, Rescaling, dropped, folding_early, levels, prime_bits, rescalings
from pvcnn.he.precision import TAIL, NoiseModel, Reach, estimates, reach
from pvcnn.he.primes import MAX_PRIME_BITS, MODULUS_BUDGET, transform_primes
from pvcnn.he.schedule import Chain, Stage, chain, primes_used
from pvcnn.program.private import PrivateConvolution, PrivateLinear, PrivatePart

__all__ = ["FEATURE_LIMIT", "Design", "EncryptionPlan", "LayerReport", "design", "plan"]

#: Features of twelve bits and a sign are planned for unless told otherwise.
FEATURE_LIMIT = 1 << 12

MIN_SCALE_BITS = 20

#: The first prime exceeds the scale by at least this: room for noise where no output is.
MIN_HEADROOM_BITS = 10

#: A plan must leave room for flooding noise at least this many bits above the evaluation noise.
MIN_FLOODING_BITS = 6

#: By how many bits the key-switching prime may exceed the first prime. A larger one makes key switching
#: quieter and, within the budget, the scale smaller; the planner takes what leaves least noise.
SPECIAL_PRIME_MARGINS = range(-2, 9)


#: Weights are never rounded to less than this many bits behind the point.
MIN_PLAINTEXT_BITS = 16

#: Degree of all powers in a row: the scale's deviation from the primes is taken to it, and so are values.
MAX_POWER = 1 << 16

#: So many cuts are tried where the one at hand does not fit.
_CUTS_TRIED = 2


class _TooSmallError(Exception):
    """The degree at hand does not do; the message names what does not fit."""


@dataclass(frozen=True, eq=False)
class Design:
    """The plan, and behind it what only the owner may know in full: the stages, their weights inside.

    noises: deviation before the first stage and after each; milliseconds: predicted, for each stage.
    """

    plan: EncryptionPlan
    chain: Chain
    track: tuple[Level, ...]
    noises: tuple[float, ...]
    milliseconds: tuple[float, ...]


def plan(private: PrivatePart, feature_limit: int = FEATURE_LIMIT) -> EncryptionPlan:
    """The plan of `design`."""
    return design(private, feature_limit).plan


def design(
    private: PrivatePart, feature_limit: int = FEATURE_LIMIT, packs: bool = True, *, names_cut: bool = True
) -> Design:
    """The cheapest evaluation at the smallest degree for a private part, deterministic.

    feature_limit bounds the integer features (output / feature_step) in absolute value. Larger ones up
    to eight times the limit decrypt correctly and `quantise` refuses them; beyond that decryption wraps
    around, which throws all outputs off by multiples of the first prime, and `quantise` refuses them too.

    Unless it `packs`, every channel has a ciphertext of its own: slower, and there to be compared with.

    Raises ParameterError, naming the layer that does not fit at any degree and, if it `names_cut`, the cut
    before it that does, for which others have to be designed.
    """
    if feature_limit < 1:
        raise ParameterError(f"features cannot be bounded by {feature_limit}")
    try:
        return _design(private, feature_limit, packs)
    except ParameterError as error:
        fitting = _nearest_cut(private, feature_limit) if names_cut else None
        if fitting is None:
            raise
        raise ParameterError(f"{error}; cut behind {fitting!r}, which fits") from error


def _check_size(private: PrivatePart) -> None:
    """Raises ParameterError, naming the layer, for what a plan has no place for at any degree."""
    for index, layer in enumerate(private.layers):
        if index == MAX_LAYERS:
            raise ParameterError(f"{layer.name}: a plan has at most {MAX_LAYERS} layers; leave some out")
    shapes = private.shapes()
    for layer, (channels, *sides) in ((private.layers[0], shapes[0]), (private.layers[-1], shapes[-1])):
        if channels > MAX_CHANNELS or max(sides) > MAX_SIDE:
            raise ParameterError(
                f"{layer.name}: a plan has at most {MAX_CHANNELS} channels of at most {MAX_SIDE} rows and"
                f" columns, not {channels} of {sides[0]}x{sides[1]}"
            )


def _nearest_cut(private: PrivatePart, feature_limit: int) -> str | None:
    """The last layer before an affine one behind which a cut would fit, among the deepest few.

    Features are taken to need as many bits there as at the cut at hand.
    """
    tried = 0
    for count in range(len(private.layers) - 1, 0, -1):
        if not isinstance(private.layers[count], PrivateConvolution | PrivateLinear):
            continue
        step = private.ranges[count - 1] / feature_limit if private.ranges else private.feature_step
        part = PrivatePart(
            private.input_shape,
            private.pixel_bound,
            private.layers[:count],
            step,
            private.shapes()[count],
            private.ranges[:count],
        )
        try:
            _check_depth(max(MODULUS_BUDGET), part)
        except (_TooSmallError, ParameterError):
            continue
        tried += 1
        try:
            _design(part, feature_limit, True)
        except ParameterError:
            if tried == _CUTS_TRIED:
                return None
            continue
        return private.layers[count - 1].name
    return None


@lru_cache(maxsize=4)
def _design(private: PrivatePart, feature_limit: int, packs: bool) -> Design:
    reason = ""
    for degree in MODULUS_BUDGET:
        try:
            return _design_at(degree, private, feature_limit, packs)
        except _TooSmallError as error:
            reason = str(error)
    raise ParameterError(reason)


@dataclass(frozen=True)
class _Choice:
    """A modulus chain, with what it makes of the stages."""

    degree: int
    scale_bits: int
    moduli: tuple[int, ...]
    track: tuple[Level, ...]
    noises: tuple[float, ...]

    @property
    def answer_noise(self) -> float:
        """With the rounding of the encryption of zero that is added in the end."""
        rounding = NoiseModel(self.degree, self.moduli).rounding(2.0**self.scale_bits)
        return math.hypot(self.noises[-1], rounding)


@np.errstate(over="ignore", invalid="ignore", divide="ignore")  # what is infinite is refused, by name
def _design_at(degree: int, private: PrivatePart, feature_limit: int, packs: bool) -> Design:
    _check_depth(degree, private)
    _check_size(private)
    try:
        stages = chain(private, degree, packs)
    except ParameterError as error:
        raise _TooSmallError(str(error)) from error
    feature_bound = feature_limit * private.feature_step
    reaches = reach(stages, private, feature_bound)
    reason: _TooSmallError | None = None
    for keeping in sorted(rescalings(stages), key=lambda keeping: _times(degree, stages, keeping)[1]):
        try:
            choice = _quietest(degree, stages, keeping, feature_bound, reaches)
            rooms = _rooms(stages, choice, reaches)
            bits = _flooding_bits(stages, choice, private)
        except _TooSmallError as error:
            reason = error
            continue
        made = _plan_of(private, feature_limit, stages, choice, reaches, rooms, bits)
        return Design(made, stages, choice.track, choice.noises, _times(degree, stages, keeping)[0])
    assert reason is not None
    raise reason


def _check_depth(degree: int, private: PrivatePart) -> None:
    depth, power = 1, 1  # the final mask
    for step in steps(private):
        depth += primes_used(step.operation)
        match step.operation:
            case Affine():
                power = 1
            case Power(degree=factor):
                power *= factor
        if power > MAX_POWER:
            raise _TooSmallError(
                f"{step.operation.name}: powers in a row have degree {power}, and {MAX_POWER} is the most"
                " that is planned for; put a convolution or linear layer between them"
            )
        if (MODULUS_BUDGET[degree] - 2 * MIN_HEADROOM_BITS) // (depth + 2) < MIN_SCALE_BITS:
            raise _TooSmallError(_too_deep(step.operation.name, depth, degree))


def _too_deep(name: str, depth: int, degree: int) -> str:
    return (
        f"{name}: the chain is too deep here: at degree {degree} there are no {depth} primes"
        f" of {MIN_SCALE_BITS} bits or more within the secure modulus"
    )


def _times(degree: int, stages: Chain, keeping: Rescaling) -> tuple[tuple[float, ...], float]:
    """Milliseconds predicted for each stage, and all together."""
    costs, drops = Costs(degree), dropped(stages, keeping)
    primes = 1 + sum(drops)
    found = []
    early = folding_early(stages, keeping)
    for index, (stage, drop) in enumerate(zip(stages.stages, drops, strict=True)):
        found.append(stage.cost(costs, primes, index in early))
        primes -= drop
    return tuple(found), sum(found)


def _quietest(
    degree: int, stages: Chain, keeping: Rescaling, feature_bound: float, reaches: Reach
) -> _Choice:
    """The primes and scales that leave least noise, of all that fit."""
    best: _Choice | None = None
    for scale_bits, bit_lengths in _lengths(degree, stages, keeping, feature_bound):
        try:
            moduli = transform_primes(degree, bit_lengths)
        except ValueError:
            continue
        model = NoiseModel(degree, moduli)
        for bits in product(range(MIN_SCALE_BITS + 8, scale_bits + 1, 2), repeat=len(keeping)):
            inner = dict(zip(sorted(keeping), bits, strict=True))
            try:
                track = levels(stages, keeping, moduli, 2.0**scale_bits, inner)
                if min(level.plaintext_scale for level in track) < 2.0**MIN_PLAINTEXT_BITS:
                    continue
                noises = tuple(estimates(stages, keeping, track, model, reaches.relevant))
            except ArithmeticError:  # a scale or noise beyond all doubles
                continue
            choice = _Choice(degree, scale_bits, moduli, track, noises)
            if best is None or choice.answer_noise < best.answer_noise:
                best = choice
    if best is None:
        last = stages.stages[-2]
        raise _TooSmallError(_too_deep(last.name, sum(dropped(stages, keeping)), degree))
    return best


def _lengths(
    degree: int, stages: Chain, keeping: Rescaling, feature_bound: float
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(bits of the scale, of all primes) within the budget: the largest scale for a key-switching prime."""
    feature_bits = math.ceil(math.log2(min(feature_bound, sys.float_info.max)))
    headroom = max(MIN_HEADROOM_BITS, feature_bits + OUTPUT_HEADROOM_BITS)
    if headroom + MIN_SCALE_BITS > MAX_PRIME_BITS:
        raise _TooSmallError(
            f"{stages.stages[-2].name}: features may reach 2^{feature_bits}, for which no prime has room"
        )
    for margin in [None] if keeping else SPECIAL_PRIME_MARGINS:
        for scale_bits in range(MAX_SCALE_BITS, MIN_SCALE_BITS - 1, -1):
            first = scale_bits + headroom
            special = MAX_PRIME_BITS if margin is None else first + margin
            bit_lengths = (first, *prime_bits(stages, keeping, scale_bits), special)
            if max(bit_lengths) <= MAX_PRIME_BITS and sum(bit_lengths) <= MODULUS_BUDGET[degree]:
                yield scale_bits, bit_lengths
                break


def _rooms(stages: Chain, choice: _Choice, reaches: Reach) -> list[float]:
    """After each stage, the bits between the largest value and half the modulus."""
    rooms = []
    for stage, level, magnitude in zip(stages.stages, choice.track[1:], reaches.values[1:], strict=True):
        if stage is stages.stages[-1]:  # bounded by the features, which the first prime holds
            break
        modulus_bits = sum(math.log2(modulus) for modulus in choice.moduli[: level.primes])
        room = modulus_bits - 1 - math.log2(level.scale) - math.log2(max(magnitude, 1.0))
        if room < 1:
            raise _TooSmallError(f"{stage.name}: values may reach {magnitude:.1g}, beyond the modulus")
        rooms.append(room)
    return rooms


def _flooding_bits(stages: Chain, choice: _Choice, private: PrivatePart) -> int:
    noise = TAIL * choice.answer_noise
    room = private.feature_step * FLOODING_FRACTION
    if not room >= noise * 2.0**MIN_FLOODING_BITS:
        raise _TooSmallError(
            f"{_lossiest(stages, choice.noises)}: loses the precision that features of step"
            f" {private.feature_step:.3g} need: noise may reach {noise:.1g} at degree {choice.degree}"
        )
    return math.floor(math.log2(room / noise))


def _lossiest(stages: Chain, noises: tuple[float, ...]) -> str:
    """The layer that amplifies noise most, in the units of what its slots stand for."""
    values = [noises[0]]
    values += [noise * abs(stage.step.factor) for stage, noise in zip(stages.stages, noises[1:], strict=True)]
    return stages.stages[int(np.argmax(np.diff(np.log(values[:-1]))))].name


def _plan_of(
    private: PrivatePart,
    feature_limit: int,
    stages: Chain,
    choice: _Choice,
    reaches: Reach,
    rooms: list[float],
    flooding_bits: int,
) -> EncryptionPlan:
    reports = [
        LayerReport(
            name=stage.name,
            kind=stage.step.operation.kind,
            primes=level.primes,
            headroom_bits=math.floor(room),
            precision_bits=math.floor(-math.log2(TAIL * noise * abs(stage.step.factor))),
            proved=proved,
        )
        for stage, level, room, noise, proved in zip(
            stages.stages, choice.track[1:], rooms, choice.noises[1:], reaches.proved, strict=False
        )
    ]
    return EncryptionPlan(
        degree=choice.degree,
        moduli=choice.moduli,
        scale_bits=choice.scale_bits,
        input_layout=stages.input,
        pixel_bound=float(private.pixel_bound),
        output_layout=stages.output,
        feature_step=float(private.feature_step),
        feature_limit=feature_limit,
        keys=_keys(choice.degree, stages.stages, choice.track),
        flooding_bits=flooding_bits,
        layers=tuple(reports),
    )


def _keys(degree: int, stages: tuple[Stage, ...], track: tuple[Level, ...]) -> tuple[SwitchingKey, ...]:
    """3^step mod 2 degree is the automorphism behind a rotation, 2 degree - 1 conjugation."""
    most: dict[int, int] = {}
    for stage, level in zip(stages, track, strict=False):
        for element in stage.key_elements(degree):
            most[element] = max(most.get(element, 0), level.primes)
    return tuple(SwitchingKey(element, primes) for element, primes in sorted(most.items()))
