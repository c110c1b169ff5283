"""Every cut of a model, one after another: costs, one frame measured if wanted, attacks within a budget."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from numpy.typing import ArrayLike
from torch import Tensor, nn

from pvcnn.errors import ParameterError, RangeError, UnsupportedLayer
from pvcnn.leak.data import LeakData
from pvcnn.leak.measure import measure
from pvcnn.leak.private import described, of_layers
from pvcnn.leak.summary import LeakSummary
from pvcnn.partition.calibrated import Calibrated, checked_frames
from pvcnn.partition.cut import CutGraph, blocks_before, crossings, cut_at, private_layers
from pvcnn.partition.float_graph.graph import FRAMES, type_name
from pvcnn.partition.polynomials import fit_activations
from pvcnn.partition.quantisation.calibrate import calibrate
from pvcnn.partition.quantisation.quantize import REVEAL
from pvcnn.planning.costs import encrypted_cost, measured_on, public_cost
from pvcnn.planning.limits import Choice, Limits, cheapest
from pvcnn.planning.rows import CutPlan, CutRow
from pvcnn.program.private import PrivatePart
from pvcnn.program.private_rules import broken_rules

#: The attackers' seconds for each cut: enough to compare cuts, too few to trust one that looks safe.
DEFAULT_BUDGET = 20.0
#: Polynomials are fitted on so many of the calibration frames.
_FITTED_ON = 64

#: Told which cut is worked on, as the how manieth of how many, and what is done with it.
Progress = Callable[[int, int, str, str], None]


def _silent(number: int, count: int, cut: str, stage: str) -> None:
    pass


@dataclass(frozen=True)
class Settings:
    """How cuts are planned. Raises ValueError for a choice that there is not.

    - `weights` "committed" or "published", `reveal`: as of `pvcnn.partition.split.split`;
    - `polynomials`: the degree, 2 to 4, of those that take the place of the activations before each cut,
      as if the model had been changed so; None leaves it as it is;
    - `measures`: whether one frame is encrypted, evaluated and decrypted for each cut that fits;
    - `budget`: the attackers' seconds for each of them, 0 for no attack; `seed`: the attackers'.
    """

    weights: str = "committed"
    reveal: str = "decisions"
    polynomials: int | None = None
    measures: bool = True
    budget: float = DEFAULT_BUDGET
    seed: int = 0

    def __post_init__(self) -> None:
        if self.weights not in ("committed", "published") or self.reveal not in REVEAL:
            raise ValueError(f"weights={self.weights!r}, reveal={self.reveal!r}: there is no such choice")
        if self.polynomials not in (None, 2, 3, 4):
            raise ValueError(f"polynomials of degree {self.polynomials}: choose 2, 3 or 4")
        if not (math.isfinite(self.budget) and self.budget >= 0):
            raise ValueError(f"a budget of {self.budget} seconds: it must be finite and not negative")


def plan_cuts(
    model: nn.Module | str | os.PathLike[str],
    calibration_frames: Tensor | ArrayLike,
    data: LeakData | None = None,
    settings: Settings | None = None,
    *,
    name: str = "",
    pixel_bound: float | None = None,
    progress: Progress = _silent,
) -> CutPlan:
    """A row for every cut of `model` at which one tensor crosses; those that cannot be taken say why.

    - `model`, `calibration_frames` (N, channels, height, width), `pixel_bound`: as of `split`;
    - `data`: what is attacked with and attacked (`pvcnn.leak.data`); needed for a budget above 0;
    - `name` names the model in the plan.

    Raises what `split` raises for models and frames, and ValueError for a budget without data.
    """
    settings = settings or Settings()
    if settings.budget and data is None:
        raise ValueError("attacks need data: give frames, or a budget of 0")
    planner = Planner.of(model, calibration_frames, settings, pixel_bound, data)
    count, rows = len(planner.places), []
    for number, place in enumerate(planner.places):
        told = partial(progress, number, count, planner.blank(place).cut)
        told("costs")
        cut = planner.priced(place)
        if cut.row.fits and settings.measures:
            told("one frame on ciphertexts")
            cut = planner.measured(cut)
        if cut.row.fits and settings.budget and data is not None:
            cut = planner.attacked(cut, data, told)
        rows.append(cut.row)
    return CutPlan(name, settings.weights, settings.polynomials, settings.seed, settings.budget, tuple(rows))


def automatic_cut(
    model: nn.Module | str | os.PathLike[str],
    calibration_frames: Tensor | ArrayLike,
    limits: Limits,
    data: LeakData | None = None,
    settings: Settings | None = None,
    *,
    pixel_bound: float | None = None,
    progress: Progress = _silent,
) -> Choice:
    """The cheapest cut that keeps to `limits`, by predicted seconds: nothing is measured.

    Arguments are those of `plan_cuts`. Cuts are attacked only if `limits` ask for it, cheapest first, until
    one keeps to them. Raises CutRefused with the reason for each cut if none does, and ValueError for limits
    that `data` cannot settle.
    """
    settings = settings or Settings()
    if limits.need_attacks:
        if data is None or not settings.budget:
            raise ValueError("limits on what is found need attacks: give frames, and a budget above 0")
        if limits.person_retrieval is not None and not data.identity:
            raise ValueError(
                f"person retrieval cannot be limited: nobody is shown by {data.name}; limit frame retrieval"
            )
    planner = Planner.of(model, calibration_frames, settings, pixel_bound, data)
    count, cuts = len(planner.places), {}
    for number, place in enumerate(planner.places):
        progress(number, count, planner.blank(place).cut, "costs")
        cuts[place] = planner.priced(place)

    def attack(row: CutRow) -> LeakSummary:
        assert data is not None
        told = partial(progress, planner.places.index(row.place), count, row.cut)
        attacked = planner.attacked(cuts[row.place], data, told)
        assert attacked.row.leak is not None
        return attacked.row.leak

    rows = tuple(cut.row for cut in cuts.values())
    plan = CutPlan("", settings.weights, settings.polynomials, settings.seed, settings.budget, rows)
    return cheapest(plan, limits, attack)


@dataclass(frozen=True, eq=False)
class PlannedCut:
    """A row, and what it is about; `private` is None if the cut cannot be taken or nothing is private."""

    row: CutRow
    parts: CutGraph | None = field(default=None, repr=False)
    private: PrivatePart | None = field(default=None, repr=False)


@dataclass(frozen=True, eq=False)
class Planner:
    """One model and its calibration frames, (N, *shape) float64, asked about one cut at a time."""

    calibrated: Calibrated = field(repr=False)
    frames: Tensor = field(repr=False)
    settings: Settings

    @classmethod
    def of(
        cls,
        model: nn.Module | str | os.PathLike[str],
        calibration_frames: Tensor | ArrayLike,
        settings: Settings,
        pixel_bound: float | None = None,
        data: LeakData | None = None,
    ) -> Planner:
        """Raises what `pvcnn.partition.split.split` raises for models and frames, and ValueError for `data`
        of another shape than theirs."""
        frames = checked_frames(calibration_frames)
        if data is not None and data.attacked.inputs.shape[1:] != frames.shape[1:]:
            found, wanted = tuple(data.attacked.inputs.shape[1:]), tuple(frames.shape[1:])
            raise ValueError(
                f"{data.name}: frames to attack have the shape {found}, the model takes {wanted}"
            )
        return cls(Calibrated.of(model, frames, pixel_bound), frames, settings)

    @property
    def places(self) -> tuple[int, ...]:
        """The values of the graph that can cross, FRAMES first."""
        return crossings(self.calibrated.graph)

    def blank(self, place: int) -> CutRow:
        """The cut behind a place, without what it costs."""
        graph = self.calibrated.graph
        layer = None if place == FRAMES else graph.layers[place - 1]
        return CutRow(
            place=place,
            layer="" if layer is None else layer.name,
            kind="" if layer is None else type_name(layer),
            blocks=blocks_before(graph, place),
            private="",
            input_shape=graph.input_shape,
            feature_shape=graph.shapes[place],
        )

    def priced(self, place: int) -> PlannedCut:
        """The cut behind a place without measuring or attacking it."""
        row = self.blank(place)
        try:
            calibrated = self._with_polynomials(place)
            parts = cut_at(calibrated.graph, place)
            return self._priced(replace(row, private=described(parts.private)), calibrated, parts)
        except (UnsupportedLayer, ParameterError, RangeError) as error:
            return PlannedCut(replace(row, refused=str(error)))

    def measured(self, cut: PlannedCut) -> PlannedCut:
        """A cut that fits, with what the first calibration frame takes on ciphertexts."""
        assert cut.row.encrypted is not None
        assert cut.private is not None
        cost = measured_on(cut.row.encrypted, cut.private, self.frames[0].numpy())
        return replace(cut, row=replace(cut.row, encrypted=cost))

    def attacked(
        self, cut: PlannedCut, data: LeakData, progress: Callable[[str], None] = lambda stage: None
    ) -> PlannedCut:
        """A cut that fits, with what its features give away."""
        assert cut.parts is not None
        report = measure(
            of_layers(cut.parts.private),
            data,
            self.settings.budget,
            self.settings.seed,
            cut=cut.row.cut,
            progress=lambda stage: progress(f"attack: {stage}"),
        )
        return replace(cut, row=replace(cut.row, leak=report.summary()))

    def _with_polynomials(self, place: int) -> Calibrated:
        """Raises UnsupportedLayer where an activation's values do not determine a polynomial."""
        degree, known = self.settings.polynomials, self.calibrated
        if degree is None:
            return known
        try:
            graph = fit_activations(known.graph, self.frames[:_FITTED_ON], place, degree)
        except ValueError as error:
            raise UnsupportedLayer(
                f"no polynomial can be fitted before this cut, {error}: calibrate with more varied frames"
            ) from error
        return Calibrated(graph, calibrate(graph, self.frames), known.pixel_bound)

    def _priced(self, row: CutRow, calibrated: Calibrated, parts: CutGraph) -> PlannedCut:
        layers = private_layers(parts.private)
        broken = broken_rules(layers, row.input_shape, parts.public.input_shape) if layers else {}
        if broken:
            return PlannedCut(replace(row, refused="; ".join(broken.values())))
        features, private = calibrated.private_part(parts, layers)
        encrypted = None if private is None else encrypted_cost(private)
        public = calibrated.quantised(parts, features, self.settings.reveal).public
        proof = public_cost(replace(public, published=self.settings.weights == "published"))
        return PlannedCut(replace(row, encrypted=encrypted, public=proof), parts, private)
