"""The encryption plan: everything public about how frames are encrypted and evaluated.

All roles hold the same plan. Its digest is in every key and ciphertext, and whoever decodes one
checks the security of its moduli anew. `pvcnn.he.parameters` makes plans.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from pvcnn.algebra.transcript import digest
from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError, ParameterError
from pvcnn.he.layout import Layout, Place
from pvcnn.he.primes import check_moduli

FORMAT = "pvcnn-encryption-plan"
VERSION = 2
MAX_BYTES = 1 << 18
MAX_LAYERS = 32
MAX_CHANNELS = 1 << 10
MAX_SIDE = 1 << 12
MAX_KEYS = 1 << 10
MAX_PRIMES = 32
MAX_SCALE_BITS = 50
MAX_FEATURE_LIMIT = 1 << 31

#: Noise that hides evaluation noise reaches this fraction of a feature step: it moves about one
#: feature in sixteen to the neighbouring integer, and none further.
FLOODING_FRACTION = 1 / 8

#: The first prime, which is left at the end, exceeds the features at their scale by this many bits. One
#: is the sign's; the others leave room for the noise in slots that hold no output.
OUTPUT_HEADROOM_BITS = 3


#: Of a layout: entries, copies included.
MAX_ENTRIES = 1 << 21


@dataclass(frozen=True)
class LayerReport:
    """What a layer leaves, in whole bits (the plan is public, the weights behind it are not).

    primes           data primes left
    headroom_bits    from the largest value to where decryption would wrap around
    precision_bits   p: the noise of a value stays below 2^-p
    proved           whether no frame can exceed that largest value; else calibration frames do not
    """

    name: str
    kind: str
    primes: int
    headroom_bits: int
    precision_bits: int
    proved: bool


@dataclass(frozen=True)
class SwitchingKey:
    """A key that evaluation needs: for a Galois element, or for relinearisation if that is 0.

    primes: with how many data primes left it is used at most; those above it are left out of the key.
    """

    element: int
    primes: int


def require(condition: bool, message: str) -> None:
    """Raises ParameterError with the message unless the condition holds."""
    if not condition:
        raise ParameterError(message)


class RingProperties:
    """What follows from ring, modulus chain and steps, alike for every layout of frames."""

    degree: int
    moduli: tuple[int, ...]
    scale_bits: int
    feature_step: float

    @property
    def slot_count(self) -> int:
        return self.degree // 2

    @property
    def data_moduli(self) -> tuple[int, ...]:
        return self.moduli[:-1]

    @property
    def scale(self) -> float:
        return 2.0**self.scale_bits

    @property
    def chain_bits(self) -> tuple[int, ...]:
        return tuple(modulus.bit_length() for modulus in self.moduli)

    @property
    def flooding_amplitude(self) -> float:
        """Largest noise added to an output, in units of the output."""
        return self.feature_step * FLOODING_FRACTION

    def key_moduli(self, key: SwitchingKey) -> tuple[int, ...]:
        """The primes modulo which a key is given."""
        return (*self.moduli[: key.primes], self.moduli[-1])


@dataclass(frozen=True)
class EncryptionPlan(RingProperties):
    """Ring, modulus chain, scale, slot layouts and keys for one private part.

    moduli          the data primes q_0 .. q_depth, then the key-switching prime
    scale_bits      frames and features have scale 2^scale_bits
    input_layout    where a frame's pixels lie; the answer is one ciphertext of output_layout
    feature_limit   integer features (output / feature_step) are at most this, in absolute value
    keys            what evaluation needs, by ascending Galois element
    flooding_bits   by how many bits the flooding noise exceeds the worst-case evaluation noise
    """

    degree: int
    moduli: tuple[int, ...]
    scale_bits: int
    input_layout: Layout
    pixel_bound: float
    output_layout: Layout
    feature_step: float
    feature_limit: int
    keys: tuple[SwitchingKey, ...]
    flooding_bits: int
    layers: tuple[LayerReport, ...]

    def __post_init__(self) -> None:
        """Raises ParameterError for what is insecure or does not fit together."""
        try:
            check_moduli(self.degree, self.moduli)
        except ValueError as error:
            raise ParameterError(str(error)) from error
        require(3 <= len(self.moduli) <= MAX_PRIMES, f"a chain has three to {MAX_PRIMES} primes")
        require(len(self.layers) <= MAX_LAYERS, f"a plan has at most {MAX_LAYERS} layers")
        require(len(self.keys) <= MAX_KEYS, f"a plan has at most {MAX_KEYS} keys")
        require(1 <= self.scale_bits <= MAX_SCALE_BITS, "the scale is out of range")
        require(self.scale_bits < self.moduli[0].bit_length(), "the first prime is below the scale")
        for value in (self.pixel_bound, self.feature_step):
            require(math.isfinite(value) and value > 0, "bounds and steps are positive numbers")
        _check_layout(self.input_layout, self.slot_count)
        _check_layout(self.output_layout, self.slot_count)
        require(self.output_layout.ciphertexts == 1, "the outputs exceed one ciphertext")
        require(self.output_layout.copies == (0,), "outputs have no copies")
        reach = self.feature_limit * self.feature_step * self.scale
        fits = reach * 2**OUTPUT_HEADROOM_BITS <= 2 ** self.moduli[0].bit_length()
        require(self.feature_limit >= 1 and fits, "the features exceed the first prime")
        limit = f"{self.feature_limit}, the limit of features, is not below {MAX_FEATURE_LIMIT}"
        require(self.feature_limit < MAX_FEATURE_LIMIT, limit)
        elements = [key.element for key in self.keys]
        ordered = all(a < b for a, b in pairwise(elements))
        require(ordered, "Galois elements ascend")
        for key in self.keys:
            require(key.element == 0 or key.element % 2 == 1, "a Galois element is odd")
            require(0 <= key.element < 2 * self.degree and key.element != 1, "there is no such rotation")
            require(1 <= key.primes <= len(self.data_moduli), "a key has more primes than the chain")

    @property
    def depth(self) -> int:
        """How often a ciphertext is rescaled on its way from frame to features."""
        return len(self.moduli) - 2

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.input_layout.shape

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return self.output_layout.shape

    @property
    def layer_kinds(self) -> tuple[str, ...]:
        return tuple(layer.kind for layer in self.layers)

    @property
    def outer_flooding_amplitude(self) -> float:
        """Largest noise added to real and imaginary parts that hold no output.

        Its coefficients stay below 2^53: beyond that, the encoder's doubles would lose the lowest bits, and
        those of the evaluation noise would show.
        """
        return min(self.moduli[0], 2**56) / self.scale / 2.0**OUTPUT_HEADROOM_BITS

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
                "input_layout": _layout_fields(self.input_layout),
                "pixel_bound": struct.pack(">d", self.pixel_bound),
                "output_layout": _layout_fields(self.output_layout),
                "feature_step": struct.pack(">d", self.feature_step),
                "feature_limit": self.feature_limit,
                "keys": [vars(key) for key in self.keys],
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
                input_layout=_layout(fields, "input_layout"),
                pixel_bound=fields.double("pixel_bound"),
                output_layout=_layout(fields, "output_layout"),
                feature_step=fields.double("feature_step"),
                feature_limit=fields.integer("feature_limit", 1, MAX_FEATURE_LIMIT),
                keys=tuple(_key(item) for item in fields.mappings("keys", MAX_KEYS)),
                flooding_bits=fields.integer("flooding_bits", 0, 64),
                layers=tuple(_report(item) for item in fields.mappings("layers", MAX_LAYERS)),
            )
        except ParameterError as error:
            raise DecodeError(f"{FORMAT}: {error}") from error
        fields.finish()
        return plan


def _check_layout(layout: Layout, slot_count: int) -> None:
    channels, rows, columns = layout.shape
    require(min(channels, rows, columns, len(layout.copies)) >= 1, "a layout has channels, rows and columns")
    require(channels <= MAX_CHANNELS, "there are too many channels")
    require(max(rows, columns) <= MAX_SIDE, "there are too many rows or columns")
    require(rows * columns * len(layout.copies) <= slot_count, "a channel exceeds the slots")
    require(channels * rows * columns * len(layout.copies) <= MAX_ENTRIES, "a tensor has too many entries")
    used = {place.ciphertext for place in layout.channels}
    require(used == set(range(len(used))), "ciphertexts are numbered one after another")
    require(all(place.part in (0, 1) for place in layout.channels), "a slot has two parts")
    slots = (*layout.rows, *layout.columns, *layout.copies, *(place.slot for place in layout.channels))
    require(all(0 <= slot < slot_count for slot in slots), "a slot is out of range")
    require(layout.copies[0] == 0, "the first copy is the entries themselves")
    require(layout.is_valid(slot_count), "two entries share a place")


def _layout_fields(layout: Layout) -> dict[str, list[int]]:
    return {
        "rows": list(layout.rows),
        "columns": list(layout.columns),
        "ciphertexts": [place.ciphertext for place in layout.channels],
        "parts": [place.part for place in layout.channels],
        "slots": [place.slot for place in layout.channels],
        "copies": list(layout.copies),
    }


def _layout(fields: Fields, name: str) -> Layout:
    own = fields.mapping(name)
    rows, columns, ciphertexts, parts, slots, copies = (
        tuple(own.integer_sequence(axis, limit, 0, 1 << 14))
        for axis, limit in (
            ("rows", MAX_SIDE),
            ("columns", MAX_SIDE),
            ("ciphertexts", MAX_CHANNELS),
            ("parts", MAX_CHANNELS),
            ("slots", MAX_CHANNELS),
            ("copies", MAX_SIDE),
        )
    )
    own.finish()
    if not len(ciphertexts) == len(parts) == len(slots):
        raise DecodeError(f"{FORMAT}: {name}: each channel has a ciphertext, a part and a slot")
    return Layout(rows, columns, tuple(map(Place, ciphertexts, parts, slots)), copies)


def _key(fields: Fields) -> SwitchingKey:
    key = SwitchingKey(fields.integer("element", 0, 1 << 16), fields.integer("primes", 1, MAX_PRIMES))
    fields.finish()
    return key


def _report(fields: Fields) -> LayerReport:
    report = LayerReport(
        name=fields.text("name"),
        kind=fields.text("kind"),
        primes=fields.integer("primes", 1, MAX_PRIMES),
        headroom_bits=fields.integer("headroom_bits", -4096, 4096),
        precision_bits=fields.integer("precision_bits", -4096, 4096),
        proved=fields.boolean("proved"),
    )
    fields.finish()
    return report
