"""Elements of the target group: pairing products, their compressed encoding, and powers of them.

py_arkworks computes pairings but neither decodes nor multiplies their values (its operators on GT
do not even form the group that they seem to); the tower of pvcnn.algebra.tower does, compiled where
Numba is importable and PVCNN_NO_NUMBA is not 1, in plain integers otherwise, with the same results.

A value is twelve coefficients over F_q in the order of pvcnn.algebra.tower, 48 little-endian bytes each.
This is what `str` of a py_arkworks GT spells in hexadecimal. Its pairing is the reduced pairing of
py_ecc to the power -3, which generates the same group. Artefacts hold half of that: `tower.compress`, six
coefficients.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from itertools import chain
from types import ModuleType
from typing import Final

from py_arkworks_bls12381 import GT

from pvcnn.algebra import threads, tower
from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.errors import DecodeError

_COEFFICIENT_BYTES: Final = 48
_VALUE_BYTES: Final = 12 * _COEFFICIENT_BYTES
#: Of an encoded element.
TARGET_BYTES: Final = 6 * _COEFFICIENT_BYTES
#: Pairs whose Miller loops share their squarings. More would save next to nothing, and each pair takes 20 kB.
_PAIRS_AT_ONCE: Final = 128
#: Fewer elements than this are not worth a thread of their own.
_MINIMUM_ELEMENTS: Final = 8

Pair = tuple[G1Point, G2Point]
#: Called with the number of pairs that were done since the last call.
Tick = Callable[[int], object]


@dataclass(frozen=True)
class TargetElement:
    """An element of the target group, the subgroup of order r of Fq12.

    Made by `pairing_product`, `decode_targets` and `product_of_powers` only, which guarantee the membership
    that `product_of_powers` and `encoded` rely on.
    """

    value: bytes

    @cached_property
    def encoded(self) -> bytes:
        """288 bytes: the element on the torus T2 over Fq6."""
        return _to_bytes(tower.compress(_coefficients(self.value)))


def pairing_product(pairs: Sequence[Pair]) -> TargetElement:
    """prod_i e(P_i, Q_i)."""
    return pairing_products([pairs])[0]


def pairing_products(products: Sequence[Sequence[Pair]], tick: Tick = lambda _: None) -> list[TargetElement]:
    """prod_i e(P_i, Q_i) for each of several lists of pairs, on all threads."""
    size = _PAIRS_AT_ONCE
    if threads.thread_count() > 1 and len(products) == 1:
        size = min(size, max(1, -(-len(products[0]) // threads.thread_count())))
    chunks = [[pairs[at : at + size] for at in range(0, len(pairs), size)] for pairs in products]
    values = threads.results([partial(_product, chunk) for parts in chunks for chunk in parts])
    made = []
    for parts in chunks:
        factors = []
        for chunk in parts:
            factors.append(next(values))
            tick(len(chunk))
        made.append(_combined(factors))
    return made


def _product(pairs: Sequence[Pair]) -> bytes:
    encoded = bytes.fromhex(str(GT.multi_pairing([p for p, _ in pairs], [q for _, q in pairs])))
    if len(encoded) != _VALUE_BYTES:
        raise RuntimeError("this version of py_arkworks_bls12381 prints target-group elements differently")
    return encoded


def _combined(factors: Sequence[bytes]) -> TargetElement:
    """The product of values."""
    if len(factors) == 1:
        return TargetElement(factors[0])
    product = tower.ONE
    for factor in factors:
        product = tower.multiply(product, _coefficients(factor))
    return TargetElement(_to_bytes(product))


def decode_targets(encodings: Sequence[bytes]) -> list[TargetElement]:
    """The elements of 288-byte encodings.

    Raises DecodeError unless each is canonical and of order dividing r: docs/protocol.md, eq. (19).

    Every encoding that is canonical is that of one element of the torus, so there are no two for one element.
    Every element is tested by itself. Merging them by random weights first would cost more than the 63
    squarings of one test, and would not be sound: 4513 divides (q^4 - q^2 + 1) / r, so an element whose
    defect has order 4513 would slip through with one weight in 4513. That an element lies on the torus says
    that its order divides q^6 + 1, which is no replacement for any part of the test.
    """
    for encoding in encodings:
        if len(encoding) != TARGET_BYTES:
            raise DecodeError(f"a target-group element has {TARGET_BYTES} bytes")
        if any(coefficient >= BASE_MODULUS for coefficient in _coefficients(encoding)):
            raise DecodeError("a target-group element has a coefficient that is not canonical")
    elements = []
    for encoding, value in zip(encodings, _decompress_members(encodings), strict=True):
        if value is None:
            raise DecodeError("not an element of the target group")
        elements.append(TargetElement(value))
        elements[-1].__dict__["encoded"] = encoding  # what the cached property would compute
    return elements


def product_of_powers(elements: Sequence[TargetElement], exponents: Sequence[int]) -> TargetElement:
    """prod_i elements[i]^exponents[i], for any integer exponents, on all threads."""
    compiled = _compiled()
    values = [element.value for element in elements]

    def power(first: int, last: int) -> bytes:
        part, powers = values[first:last], exponents[first:last]
        if compiled is not None:
            result: bytes = compiled.multi_power(part, powers)
            return result
        return _to_bytes(tower.multi_power(list(map(_coefficients, part)), powers))

    if len(elements) != len(exponents):
        raise ValueError(f"{len(elements)} elements and {len(exponents)} exponents")
    return _combined(threads.run_spans(power, len(elements), _MINIMUM_ELEMENTS))


def _coefficients(encoded: bytes) -> tuple[int, ...]:
    return tuple(
        int.from_bytes(encoded[at : at + _COEFFICIENT_BYTES], "little")
        for at in range(0, len(encoded), _COEFFICIENT_BYTES)
    )


def _to_bytes(coefficients: Sequence[int]) -> bytes:
    return b"".join(c.to_bytes(_COEFFICIENT_BYTES, "little") for c in coefficients)


def _decompress_members(encodings: Sequence[bytes]) -> list[bytes | None]:
    """The value of each element, None for one outside the target group."""
    compiled = _compiled()

    def decompress(first: int, last: int) -> list[bytes | None]:
        if compiled is not None:
            found: list[bytes | None] = compiled.decompress_members(encodings[first:last])
            return found
        return list(map(_decompress_member, encodings[first:last]))

    return list(chain.from_iterable(threads.run_spans(decompress, len(encodings), _MINIMUM_ELEMENTS)))


def _decompress_member(encoding: bytes) -> bytes | None:
    element = tower.decompress(_coefficients(encoding))
    return _to_bytes(element) if tower.is_in_target_group(element) else None


@cache
def _compiled() -> ModuleType | None:
    """pvcnn.algebra.tower_compiled where it may and can be used."""
    if os.environ.get("PVCNN_NO_NUMBA") == "1":
        return None
    try:
        from pvcnn.algebra import tower_compiled
    except (ImportError, RuntimeError):  # no Numba, or no directory in which it may cache what it compiles
        return None
    return tower_compiled
