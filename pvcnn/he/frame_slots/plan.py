"""The plan of frames in slots: everything public about how batches are encrypted and evaluated.

Ciphertext i holds pixel i of up to degree / 2 frames, or tiles of frames, one a slot. Slots never meet: there
are no rotations, no keys for any, and no more than the scalar products and squares that plain evaluation
has. All roles hold the same plan; its digest is in every key and message. `pvcnn.he.frame_slots.parameters`
makes plans.

Frames lie in the real parts alone. A second batch in the imaginary parts would come through weighted sums
but not through a square: (u + i v)^2 mixes them, and telling them apart takes the conjugate of every pixel,
a key switch each, and twice the products. That halves the bytes per frame where all slots are full,
at about twice the time, and does nothing for fewer frames than slots, since the degree stays what it is.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, ParameterError
from pvcnn.he.encryption_plan import (
    MAX_FEATURE_LIMIT,
    MAX_PRIMES,
    MAX_SCALE_BITS,
    OUTPUT_HEADROOM_BITS,
    RingProperties,
    SwitchingKey,
    require,
)
from pvcnn.he.frame_slots.tiling import Tiling
from pvcnn.he.primes import check_moduli

FORMAT = "pvcnn-frame-slots-plan"
VERSION = 1
MAX_BYTES = 1 << 16
MAX_BLOCKS = 32
MAX_SIDE = 1 << 10
MAX_CIPHERTEXTS_PER_ROW = 1 << 13
MAX_WEIGHT_BITS = 24
#: Log 2 of the largest scale of an answer.
_MAX_ANSWER_SCALE_BITS = 56


@dataclass(frozen=True)
class BlockReport:
    """What a block leaves, in whole bits (the plan is public, the weights behind it are not).

    weight_bits      its weights are multiples of 2^-weight_bits; 0 if it has none of its own
    squares          whether its weighted sums are squared
    primes           data primes left
    headroom_bits    from the largest possible value to where decryption would wrap around
    precision_bits   p: the noise of a value stays below 2^-p
    """

    name: str
    weight_bits: int
    squares: bool
    primes: int
    headroom_bits: int
    precision_bits: int


@dataclass(frozen=True)
class FrameSlotsPlan(RingProperties):
    """Ring, modulus chain and scales for one private part on batches of frames.

    moduli          the data primes q_0 .. q_depth, then the key-switching prime
    scale_bits      pixels have scale 2^scale_bits
    answer_scale    of the features
    tiling          what lies in which slot
    feature_limit   integer features (output / feature_step) are at most this, in absolute value
    flooding_bits   by how many bits the flooding noise exceeds the worst-case evaluation noise
    """

    degree: int
    moduli: tuple[int, ...]
    scale_bits: int
    answer_scale: float
    input_shape: tuple[int, int, int]
    pixel_bound: float
    output_shape: tuple[int, int, int]
    tiling: Tiling
    feature_step: float
    feature_limit: int
    flooding_bits: int
    blocks: tuple[BlockReport, ...]

    def __post_init__(self) -> None:
        """Raises ParameterError for what is insecure or does not fit together."""
        try:
            check_moduli(self.degree, self.moduli)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        require(2 <= len(self.moduli) <= MAX_PRIMES, "a chain has two primes or more")
        require(1 <= self.scale_bits <= MAX_SCALE_BITS, "the scale is out of range")
        for value in (self.pixel_bound, self.feature_step, self.answer_scale):
            require(math.isfinite(value) and value > 0, "bounds, steps and scales are positive numbers")
        _check_shapes(self.input_shape, self.output_shape, self.tiling, self.slot_count)
        require(self.feature_limit >= 1, "features have a positive limit")
        require(self.answer_scale <= 2.0**_MAX_ANSWER_SCALE_BITS, "the answer's scale is out of range")
        reach = self.feature_limit * self.feature_step * self.answer_scale
        fits = reach * 2**OUTPUT_HEADROOM_BITS <= 2 ** self.moduli[0].bit_length()
        require(fits, "the features exceed the first prime")

    @property
    def keys(self) -> tuple[SwitchingKey, ...]:
        """That of relinearisation, and none for rotations."""
        return (SwitchingKey(0, len(self.data_moduli)),)

    @property
    def layer_kinds(self) -> tuple[str, ...]:
        """What the blocks hold besides means, named as an encryption plan of single frames names it."""
        kinds: list[str] = []
        for block in self.blocks:
            kinds += ["convolution"] * (block.weight_bits > 0) + ["square"] * block.squares
        return tuple(kinds)

    @property
    def outer_flooding_amplitude(self) -> float:
        """Largest noise added to imaginary parts and to the real parts of slots without a frame."""
        return self.moduli[0] / self.answer_scale / 2.0**OUTPUT_HEADROOM_BITS

    @cached_property
    def digest(self) -> bytes:
        return digest("pvcnn/frame-slots-plan", self.to_bytes())

    def to_bytes(self) -> bytes:
        return encode(
            FORMAT,
            VERSION,
            {
                "degree": self.degree,
                "moduli": list(self.moduli),
                "scale_bits": self.scale_bits,
                "answer_scale": struct.pack(">d", self.answer_scale),
                "input_shape": list(self.input_shape),
                "pixel_bound": struct.pack(">d", self.pixel_bound),
                "output_shape": list(self.output_shape),
                "frames": self.tiling.frames,
                "tiles": [self.tiling.rows, self.tiling.columns],
                "pitch": list(self.tiling.pitch),
                "margin": self.tiling.margin,
                "tile_input_shape": list(self.tiling.input_shape),
                "tile_output_shape": list(self.tiling.output_shape),
                "feature_step": struct.pack(">d", self.feature_step),
                "feature_limit": self.feature_limit,
                "flooding_bits": self.flooding_bits,
                "blocks": [vars(block) for block in self.blocks],
            },
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> FrameSlotsPlan:
        """Raises DecodeError for anything but a plan that is secure and fits together."""
        fields = decode(data, FORMAT, VERSION, MAX_BYTES)
        degree = fields.integer("degree", 1, (1 << 15) + 1)
        try:
            plan = cls(
                degree=degree,
                moduli=tuple(fields.integer_sequence("moduli", MAX_PRIMES, 2, 1 << 60)),
                scale_bits=fields.integer("scale_bits", 1, MAX_SCALE_BITS + 1),
                answer_scale=fields.double("answer_scale"),
                input_shape=_shape(fields, "input_shape"),
                pixel_bound=fields.double("pixel_bound"),
                output_shape=_shape(fields, "output_shape"),
                tiling=_tiling(fields),
                feature_step=fields.double("feature_step"),
                feature_limit=fields.integer("feature_limit", 1, MAX_FEATURE_LIMIT),
                flooding_bits=fields.integer("flooding_bits", 0, 64),
                blocks=tuple(_report(item) for item in fields.mappings("blocks", MAX_BLOCKS)),
            )
        except ParameterError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error
        fields.finish()
        return plan


def _check_shapes(
    frame: tuple[int, int, int], features: tuple[int, int, int], tiling: Tiling, slot_count: int
) -> None:
    for shape in (frame, features, tiling.input_shape, tiling.output_shape):
        require(len(shape) == 3 and min(shape) >= 1, "shapes have three positive sides")
        require(max(shape) <= MAX_SIDE, "a side is too long")
        require(shape[0] * shape[2] <= MAX_CIPHERTEXTS_PER_ROW, "a row has too many ciphertexts")
    counts = tiling.frames, tiling.rows, tiling.columns
    require(min(counts) >= 1 and tiling.slots <= slot_count, "the batch exceeds the slots")
    channels, height, width = tiling.output_shape
    joined = channels, height * tiling.rows, width * tiling.columns
    require(joined == features, "the tiles' outputs are not the frame's")
    require(tiling.input_shape[0] == frame[0], "the tiles have other channels than the frame")
    for axis in (0, 1):
        own = tiling.input_shape[1 + axis] - 2 * tiling.margin
        count = (tiling.rows, tiling.columns)[axis]
        require(own == tiling.pitch[axis] and own * count <= frame[1 + axis], "the tiles exceed the frame")


def _tiling(fields: Fields) -> Tiling:
    frames = fields.integer("frames", 1, 1 << 15)
    tiles = fields.integer_sequence("tiles", 2, 1, MAX_SIDE + 1)
    pitch = fields.integer_sequence("pitch", 2, 1, MAX_SIDE + 1)
    if len(tiles) != 2 or len(pitch) != 2:
        raise DecodeError(f"{FORMAT}: tiles are counted in rows and columns")
    margin = fields.integer("margin", 0, MAX_SIDE)
    inputs, outputs = _shape(fields, "tile_input_shape"), _shape(fields, "tile_output_shape")
    return Tiling(frames, tiles[0], tiles[1], (pitch[0], pitch[1]), margin, inputs, outputs)


def _shape(fields: Fields, name: str) -> tuple[int, int, int]:
    sides = fields.integer_sequence(name, 3, 1, MAX_SIDE + 1)
    if len(sides) != 3:
        raise DecodeError(f"{FORMAT}: field {name!r} must have three sides")
    return sides[0], sides[1], sides[2]


def _report(fields: Fields) -> BlockReport:
    report = BlockReport(
        name=fields.text("name"),
        weight_bits=fields.integer("weight_bits", 0, MAX_WEIGHT_BITS + 1),
        squares=fields.boolean("squares"),
        primes=fields.integer("primes", 1, MAX_PRIMES),
        headroom_bits=fields.integer("headroom_bits", -4096, 4096),
        precision_bits=fields.integer("precision_bits", -4096, 4096),
    )
    fields.finish()
    return report
