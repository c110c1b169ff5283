"""Is a state of the powers what its secrets' points say? docs/ceremony.md, section "Verification"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pvcnn.algebra import scalars
from pvcnn.algebra.batches import PointVector
from pvcnn.algebra.curve import g1_from_points, g2_from_points, msm_g1, msm_g2
from pvcnn.algebra.points import G1Point, G2Point, pairing_product_is_one
from pvcnn.ceremony.description import Point
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.progress import Progress
from pvcnn.ceremony.state import check_points, to_g1, to_g2, total_rows
from pvcnn.errors import VerificationError


def check_powers(state: PowersState, points: Mapping[str, Point], progress: Progress) -> None:
    """Raises VerificationError, naming what is wrong, unless the state is that of these secrets' points.

    With points [tau]1 .. that are no identities, every array then holds the powers that its name says, but
    for a probability below 2^-127 over randomness drawn here.
    """
    arrays = state.arrays()
    progress.begin("checking the powers", 2 * total_rows(arrays.values()))
    if all(point == type(point)() for point in points.values()):
        _check_first(state)
        return
    check_points("powers", arrays)
    progress.advance(total_rows(arrays.values()))
    for name, point in state.points().items():
        if point != points[name]:
            raise VerificationError(f"powers: {name} is not the one that the contributions lead to")
    for name, first in (("tau_g1", state.tau_g1), ("a_g1", state.a_g1), ("b_g1", state.b_g1)):
        if to_g1(first, 0) != G1Point():
            raise VerificationError(f"powers: {name} does not begin with the generator")
    strings: list[tuple[str, PointVector, Sequence[PointVector]]] = [
        ("tau", state.tau_g2, (state.tau_g1, state.alpha_g1, state.beta_g1)),
        ("a", state.a_g2, (state.a_g1,)),
        ("b", state.b_g2, (state.b_g1,)),
    ]
    for name, in_g2, in_g1 in strings:
        if to_g2(in_g2, 0) != G2Point():
            raise VerificationError(f"powers: {name}_g2 does not begin with the generator")
        _check_progressions(name, in_g2, in_g1)
        progress.advance(len(in_g2) + total_rows(in_g1))
    if not pairing_product_is_one(
        [(to_g1(state.beta_g1, 0), G2Point()), (-G1Point(), to_g2(state.beta_g2, 0))]
    ):
        raise VerificationError("powers: beta differs between G1 and G2")


def _check_first(state: PowersState) -> None:
    """Every entry is a generator: sums of equal points, in the checks for all others, would take minutes."""
    generators = {"_g1": g1_from_points([G1Point()]), "_g2": g2_from_points([G2Point()])}
    for name, array in state.arrays().items():
        if (array != generators[name[-3:]]).any():
            raise VerificationError(f"powers: {name} of the first state holds something but the generator")


def _check_progressions(name: str, in_g2: PointVector, in_g1: Sequence[PointVector]) -> None:
    """Every entry is the one before it times the secret of in_g2[1] in G1, of in_g1[0][1] in G2.

    e(sum_i rho_i P_(i+1), [1]2) = e(sum_i rho_i P_i, [s]2)
    e([1]1, sum_i rho_i Q_(i+1)) = e([s]1, sum_i rho_i Q_i)
    """
    factors = [scalars.random(len(points) - 1) for points in in_g1]
    later, earlier = G1Point.identity(), G1Point.identity()
    for points, random in zip(in_g1, factors, strict=True):
        later = later + msm_g1(points[1:], random)
        earlier = earlier + msm_g1(points[:-1], random)
    if not pairing_product_is_one([(later, G2Point()), (-earlier, to_g2(in_g2, 1))]):
        raise VerificationError(f"powers: the points of G1 are not powers of the {name} of G2")
    random = scalars.random(len(in_g2) - 1)
    pairs = [(G1Point(), msm_g2(in_g2[1:], random)), (-to_g1(in_g1[0], 1), msm_g2(in_g2[:-1], random))]
    if not pairing_product_is_one(pairs):
        raise VerificationError(f"powers: the points of G2 are not powers of the {name} of G1")
