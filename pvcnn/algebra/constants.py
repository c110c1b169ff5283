"""BLS12-381: the two fields and the sizes of encoded points."""

from __future__ import annotations

from typing import Final

#: Order of G1, G2 and the target group; modulus of the scalar field F_r.
SCALAR_MODULUS: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
#: Modulus of the base field F_q.
BASE_MODULUS: Final = (
    0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
)
#: The curve's parameter z (negative): r = z^4 - z^2 + 1.
CURVE_PARAMETER: Final = -0xD201000000010000
#: 2^32 divides r - 1, and 7 generates the multiplicative group of F_r.
SCALAR_TWO_ADICITY: Final = 32
SCALAR_GENERATOR: Final = 7

G1_BYTES: Final = 48
G2_BYTES: Final = 96
SCALAR_BYTES: Final = 32
