"""The commitment keys after all rounds, as polynomials in the secret: docs/protocol.md, eq. (18).

With challenges x_0, .., x_(l-1), N = 2^l, and j counting rounds from the one that halves N,

    v_final = [f_v(a)]2    f_v(X) = prod_j (1 + x_j^-1 (X / r)^(2^(l-1-j)))
    w_final = [f_w(a)]1    f_w(X) = X^N prod_j (1 + x_j X^(2^(l-1-j)))

and the same polynomials in b. The aggregator shows it at a point z that is drawn after v_final and w_final:
it publishes pi = [(f(s) - f(z)) / (s - z)], and the verifier, who evaluates f(z) in l steps, checks

    e([1]1, v_final - [f_v(z)]2) = e([s]1 - [z]1, pi_v)
    e(w_final - [f_w(z)]1, [1]2) = e(pi_w, [s]2 - [z]2)

A key other than [f(s)] would need f(s) - f(z) divisible by s - z for a z that it could not foresee. Without
this the final equations could be met by keys made up for the purpose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pvcnn.algebra.constants import SCALAR_MODULUS


@dataclass(frozen=True)
class KeyPolynomial:
    """X^shift prod_k (1 + factors[k] X^(2^k))."""

    factors: tuple[int, ...]
    shift: int

    def at(self, point: int) -> int:
        """The value at `point`."""
        value = pow(point, self.shift, SCALAR_MODULUS)
        for factor in self.factors:
            value = value * (1 + factor * point) % SCALAR_MODULUS
            point = point * point % SCALAR_MODULUS
        return value

    def quotient(self, point: int) -> list[int]:
        """Coefficients, lowest first, of (f(X) - f(point)) / (X - point): Horner's intermediate values."""
        coefficients = self._coefficients()
        quotient = [0] * (len(coefficients) - 1)
        carried = 0
        for i in reversed(range(len(quotient))):
            carried = (coefficients[i + 1] + point * carried) % SCALAR_MODULUS
            quotient[i] = carried
        return quotient

    def _coefficients(self) -> list[int]:
        coefficients = [1]
        for factor in self.factors:
            coefficients += [coefficient * factor % SCALAR_MODULUS for coefficient in coefficients]
        return [0] * self.shift + coefficients


def v_polynomial(r: int, challenges: Sequence[int]) -> KeyPolynomial:
    """f_v for challenge r and the rounds' challenges, first round first."""
    scale = pow(r, -1, SCALAR_MODULUS)
    factors = []
    for x in reversed(challenges):
        factors.append(pow(x, -1, SCALAR_MODULUS) * scale % SCALAR_MODULUS)
        scale = scale * scale % SCALAR_MODULUS
    return KeyPolynomial(tuple(factors), 0)


def w_polynomial(challenges: Sequence[int]) -> KeyPolynomial:
    """f_w for the rounds' challenges, first round first."""
    return KeyPolynomial(tuple(reversed(challenges)), 1 << len(challenges))
