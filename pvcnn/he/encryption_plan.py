"""The encryption plan: everything public about how frames are encrypted and evaluated.

All roles hold the same plan. Its digest is in every key and ciphertext, and whoever decodes one
checks the security of its moduli anew. `pvcnn.he.parameters` makes plans.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, ParameterError
from pvcnn.he.packing import Grid, OutputLayout
from pvcnn.he.primes import check_moduli

FORMAT = "pvcnn-encryption-plan"
VERSION = 1
MAX_BYTES = 1 << 16
MAX_LAYERS = 32
MAX_CHANNELS = 1 << 10
MAX_PRIMES = 32
MAX_SCALE_BITS = 50

#: Noise that hides evaluation noise reaches this fraction of a feature step: it moves about one
#: feature in sixteen to the neighbouring integer, and none further.
FLOODING_FRACTION = 1 / 8

#: The first prime, which is left at the end, exceeds the features at their scale by this many bits. One
#: is the sign's; the others leave room for the noise in slots that hold no output.
OUTPUT_HEADROOM_BITS = 3


@dataclass(frozen=True)
class LayerReport:
    """What a layer leaves, in whole bits (the plan is public, the weights behind it are not).

    primes           data primes left
    headroom_bits    from the largest possible value to where decryption would wrap around
    precision_bits   p: the noise of a value stays below 2^-p
    """

    name: str
    kind: str
    primes: int
    headroom_bits: int
    precision_bits: int


@dataclass(frozen=True)
class EncryptionPlan:
    """Ring, modulus chain, scale, slot layout and rotations for one private part.

    moduli          the data primes q_0 .. q_depth, then the key-switching prime
    scale_bits      frames and features have scale 2^scale_bits
    feature_limit   integer features (output / feature_step) are at most this, in absolute value
    steps           rotation steps that evaluation makes, each in [1, slots), ascending
    flooding_bits   by how many bits the flooding noise exceeds the worst-case evaluation noise
    """

    degree: int
    moduli: tuple[int, ...]
    scale_bits: int
    input_shape: tuple[int, int, int]
    pixel_bound: float
    output_shape: tuple[int, int, int]
    output_gap: int
    feature_step: float
    feature_limit: int
    steps: tuple[int, ...]
    flooding_bits: int
    layers: tuple[LayerReport, ...]

    def __post_init__(self) -> None:
        """Raises ParameterError for what is insecure or does not fit together."""
        try:
            check_moduli(self.degree, self.moduli)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        _require(3 <= len(self.moduli) <= MAX_PRIMES, "a chain has three primes or more")
        _require(1 <= self.scale_bits <= MAX_SCALE_BITS, "the scale is out of range")
        _require(self.scale_bits < self.moduli[0].bit_length(), "the first prime is below the scale")
        for value in (self.pixel_bound, self.feature_step):
            _require(math.isfinite(value) and value > 0, "bounds and steps are positive numbers")
        for shape in (self.input_shape, self.output_shape):
            _require(len(shape) == 3 and min(shape) >= 1, "shapes have three positive sides")
            _require(shape[0] <= MAX_CHANNELS, "there are too many channels")
        _require(self.input_shape[1] * self.input_shape[2] <= self.slot_count, "a frame exceeds the slots")
        _require(self.output_gap >= 1, "the gap between outputs is positive")
        for side in (1, 2):
            fits = self.output_shape[side] * self.output_gap <= self.input_shape[side]
            _require(fits, "the outputs exceed the frame")
        _require(self.output_shape[0] <= self.output_layout.capacity, "the outputs exceed one ciphertext")
        reach = self.feature_limit * self.feature_step * self.scale
        fits = reach * 2**OUTPUT_HEADROOM_BITS <= 2 ** self.moduli[0].bit_length()
        _require(self.feature_limit >= 1 and fits, "the features exceed the first prime")
        ordered = all(a < b for a, b in zip(self.steps, self.steps[1:], strict=False))
        _require(ordered, "rotation steps ascend")
        _require(all(0 < step < self.slot_count for step in self.steps), "a rotation step is out of range")

    @property
    def slot_count(self) -> int:
        return self.degree // 2

    @property
    def data_moduli(self) -> tuple[int, ...]:
        return self.moduli[:-1]

    @property
    def depth(self) -> int:
        """How often a ciphertext is rescaled on its way from frame to features."""
        return len(self.moduli) - 2

    @property
    def scale(self) -> float:
        return 2.0**self.scale_bits

    @property
    def chain_bits(self) -> tuple[int, ...]:
        return tuple(modulus.bit_length() for modulus in self.moduli)

    @property
    def output_layout(self) -> OutputLayout:
        channels, rows, columns = self.output_shape
        grid = Grid(rows, columns, self.input_shape[2], self.output_gap)
        return OutputLayout(grid, channels, self.slot_count)

    @property
    def flooding_amplitude(self) -> float:
        """Largest noise added to an output, in units of the output."""
        return self.feature_step * FLOODING_FRACTION

    @property
    def outer_flooding_amplitude(self) -> float:
        """Largest noise added to real and imaginary parts that hold no output."""
        return self.moduli[0] / self.scale / 2.0**OUTPUT_HEADROOM_BITS

    @property
    def galois_elements(self) -> tuple[int, ...]:
        """3^step mod 2 degree: the automorphism behind each rotation step."""
        return tuple(pow(3, step, 2 * self.degree) for step in self.steps)

    @cached_property
    def digest(self) -> bytes:
        return digest("pvcnn/encryption-plan", self.to_bytes())

    def to_bytes(self) -> bytes:
        return encode(
            FORMAT,
            VERSION,
            {
                "degree": self.degree,
                "moduli": list(self.moduli),
                "scale_bits": self.scale_bits,
                "input_shape": list(self.input_shape),
                "pixel_bound": struct.pack(">d", self.pixel_bound),
                "output_shape": list(self.output_shape),
                "output_gap": self.output_gap,
                "feature_step": struct.pack(">d", self.feature_step),
                "feature_limit": self.feature_limit,
                "steps": list(self.steps),
                "flooding_bits": self.flooding_bits,
                "layers": [vars(layer) for layer in self.layers],
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> EncryptionPlan:
        """Raises DecodeError for anything but a plan that is secure and fits together."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        degree = fields.integer("degree", 1, (1 << 15) + 1)
        try:
            plan = cls(
                degree=degree,
                moduli=tuple(fields.integer_sequence("moduli", MAX_PRIMES, 2, 1 << 60)),
                scale_bits=fields.integer("scale_bits", 1, MAX_SCALE_BITS + 1),
                input_shape=_shape(fields, "input_shape"),
                pixel_bound=_double(fields, "pixel_bound"),
                output_shape=_shape(fields, "output_shape"),
                output_gap=fields.integer("output_gap", 1, 1 << 15),
                feature_step=_double(fields, "feature_step"),
                feature_limit=fields.integer("feature_limit", 1, 1 << 31),
                steps=tuple(fields.integer_sequence("steps", 1 << 10, 1, 1 << 15)),
                flooding_bits=fields.integer("flooding_bits", 0, 64),
                layers=tuple(_report(item) for item in fields.mappings("layers", MAX_LAYERS)),
            )
        except ParameterError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error
        fields.finish()
        return plan


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ParameterError(message)


def _shape(fields: Fields, name: str) -> tuple[int, int, int]:
    sides = fields.integer_sequence(name, 3, 1, 1 << 15)
    if len(sides) != 3:
        raise DecodeError(f"{FORMAT}: field {name!r} must have three sides")
    return sides[0], sides[1], sides[2]


def _double(fields: Fields, name: str) -> float:
    (value,) = struct.unpack(">d", fields.octets(name, 8))
    return float(value)


def _report(fields: Fields) -> LayerReport:
    report = LayerReport(
        name=fields.text("name"),
        kind=fields.text("kind"),
        primes=fields.integer("primes", 1, MAX_PRIMES),
        headroom_bits=fields.integer("headroom_bits", -4096, 4096),
        precision_bits=fields.integer("precision_bits", -4096, 4096),
    )
    fields.finish()
    return report
