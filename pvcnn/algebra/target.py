"""Elements of the target group: pairing products, their encoding, and powers of them.

py_arkworks computes pairings but neither decodes nor multiplies their values (its operators on GT
do not even form the group that they seem to); the tower of pvcnn.algebra.tower does, compiled where
Numba is importable and PVCNN_NO_NUMBA is not 1, in plain integers otherwise, with the same results.

Encoding: the twelve coefficients over F_q in the order of pvcnn.algebra.tower, 48 little-endian bytes
each. This is what `str` of a py_arkworks GT spells in hexadecimal. Its pairing is the reduced pairing of
py_ecc to the power -3, which generates the same group.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Final

from py_arkworks_bls12381 import GT

from pvcnn.algebra import tower
from pvcnn.algebra.constants import BASE_MODULUS
from pvcnn.algebra.points import G1Point, G2Point
from pvcnn.errors import DecodeError

_COEFFICIENT_BYTES: Final = 48
TARGET_BYTES: Final = 12 * _COEFFICIENT_BYTES


@dataclass(frozen=True)
class TargetElement:
    """An element of the target group, the subgroup of order r of Fq12.

    Made by `pairing_product`, `decode_targets` and `product_of_powers` only, which guarantee the membership
    that `product_of_powers` relies on.
    """

    encoded: bytes


def pairing_product(pairs: Sequence[tuple[G1Point, G2Point]]) -> TargetElement:
    """prod_i e(P_i, Q_i)."""
    value = GT.multi_pairing([p for p, _ in pairs], [q for _, q in pairs])
    encoded = bytes.fromhex(str(value))
    if len(encoded) != TARGET_BYTES:
        raise RuntimeError("this version of py_arkworks_bls12381 prints target-group elements differently")
    return TargetElement(encoded)


def decode_targets(encodings: Sequence[bytes]) -> list[TargetElement]:
    """The elements of 576-byte encodings.

    Raises DecodeError unless each is canonical and of order dividing r: docs/protocol.md, eq. (19).

    Every element is tested by itself. Merging them by random weights first would cost more than the
    63 squarings of one test, and would not be sound: 4513 divides (q^4 - q^2 + 1) / r, so an element
    whose defect has order 4513 would slip through with one weight in 4513.
    """
    for encoding in encodings:
        if len(encoding) != TARGET_BYTES:
            raise DecodeError(f"a target-group element has {TARGET_BYTES} bytes")
        if any(coefficient >= BASE_MODULUS for coefficient in _coefficients(encoding)):
            raise DecodeError("a target-group element has a coefficient that is not canonical")
    if not all(_are_in_target_group(encodings)):
        raise DecodeError("not an element of the target group")
    return [TargetElement(encoding) for encoding in encodings]


def product_of_powers(elements: Sequence[TargetElement], exponents: Sequence[int]) -> TargetElement:
    """prod_i elements[i]^exponents[i], for any integer exponents."""
    compiled = _compiled()
    if compiled is not None:
        return TargetElement(compiled.multi_power([e.encoded for e in elements], exponents))
    product = tower.multi_power([_coefficients(e.encoded) for e in elements], exponents)
    return TargetElement(b"".join(c.to_bytes(_COEFFICIENT_BYTES, "little") for c in product))


def _coefficients(encoded: bytes) -> tower.Fq12:
    return tuple(
        int.from_bytes(encoded[at : at + _COEFFICIENT_BYTES], "little")
        for at in range(0, TARGET_BYTES, _COEFFICIENT_BYTES)
    )


def _are_in_target_group(encodings: Sequence[bytes]) -> list[bool]:
    compiled = _compiled()
    if compiled is not None:
        return list(compiled.are_in_target_group(encodings))
    return [tower.is_in_target_group(_coefficients(encoding)) for encoding in encodings]


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
