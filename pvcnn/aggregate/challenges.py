"""The aggregate's challenges: docs/protocol.md, eqs. (14), (15) and (16), in this order, from one transcript.

    r   = H(domain, reference string, number of groups, {verification key, proofs}_g, N,
            {statement, D_aux}_i, T_AB, U_AB, T_C, U_C)
    y   = H(r, Z_AB, {Z_C,g}_g)
    x_0 = H(y, all cross terms of round 0),   x_j = H(x_(j-1), all cross terms of round j)
    z   = H(x_last, v_final, w_final, A_final, B_final, C_final)

Statements in r keep another party's aggregate from passing as one's own. Keys and sizes of the groups, in
their order, fix which statement is under which key; their sum keeps a repeated last statement apart from the
verifier's own padding. No challenge is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence

from pvcnn.aggregate.reference_string import padded_size
from pvcnn.algebra.transcript import Transcript

DOMAIN = "pvcnn/aggregate"


class AggregateTranscript:
    """Draws r, y, then x_0, x_1, ..., then z. Each method is called once, `round_challenge` once a round."""

    def __init__(
        self,
        reference_string: bytes,
        groups: Sequence[tuple[bytes, int]],
        statements: Sequence[bytes],
        auxiliary_commitments: Sequence[bytes],
    ) -> None:
        """Digest of the reference string; digest of the key and number of proofs of each group; encoded
        statements and D_aux, group by group."""
        self._transcript = Transcript(DOMAIN)
        absorb = self._transcript.absorb
        absorb("reference string", reference_string)
        self._transcript.absorb_integer("groups", len(groups))
        for key, proofs in groups:
            absorb("verification key", key)
            self._transcript.absorb_integer("proofs", proofs)
        self._transcript.absorb_integer("padded size", padded_size(len(statements)))
        for statement, auxiliary in zip(statements, auxiliary_commitments, strict=True):
            absorb("statement", statement)
            absorb("D_aux", auxiliary)

    def scaling_challenge(self, commitments: bytes) -> int:
        """r, after T_AB, U_AB, T_C, U_C."""
        self._transcript.absorb("commitments", commitments)
        return self._transcript.challenge("r")

    def combining_challenge(self, product: bytes, totals: bytes) -> int:
        """y, after Z_AB and all Z_C,g."""
        self._transcript.absorb("Z_AB", product)
        self._transcript.absorb("Z_C", totals)
        return self._transcript.challenge("y")

    def round_challenge(self, left: bytes, right: bytes) -> int:
        """x_j, after the left and right cross terms of round j."""
        self._transcript.absorb("left cross terms", left)
        self._transcript.absorb("right cross terms", right)
        return self._transcript.challenge("x")

    def opening_challenge(self, final: bytes) -> int:
        """z, after the vectors of length 1."""
        self._transcript.absorb("final", final)
        return self._transcript.challenge("z")
