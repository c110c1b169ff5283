"""What splitting and quantising did to a model, measured on the calibration frames. For the owner."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from pvcnn.partition.quantisation.scale_plan import FeatureScale

#: Rows of the table that is printed.
_HEADING = f"{'layer':<32}{'kind':<14}{'low':>11}{'high':>11}{'clipped':>10}{'signal/noise':>14}"


@dataclass(frozen=True)
class LayerReport:
    """One layer: the range of its float values; of its integer values the clipped fraction and the noise.

    `clipped` is the fraction of values at which its table saturates, `signal_to_noise` in dB compares
    integer (times scale) with float values. Both are None where no integer tensor stands for the layer.
    """

    name: str
    kind: str
    low: float
    high: float
    clipped: float | None
    signal_to_noise: float | None

    def __str__(self) -> str:
        clipped = "" if self.clipped is None else f"{self.clipped:.4%}"
        noise = "" if self.signal_to_noise is None else f"{self.signal_to_noise:.1f} dB"
        return f"{self.name:<32}{self.kind:<14}{self.low:>11.4g}{self.high:>11.4g}{clipped:>10}{noise:>14}"


@dataclass(frozen=True)
class Accuracy:
    """The fractions of labelled frames on which the models decide as the labels say."""

    float_model: float
    integer_model: float


@dataclass(frozen=True)
class Report:
    """`agreement`: the fraction of calibration frames on which float and integer network decide alike.

    `accuracy` is None without labels. `notes` say what was left out of the model because it changes
    nothing that is revealed.
    """

    layers: tuple[LayerReport, ...]
    frames: int
    agreement: float
    accuracy: Accuracy | None
    pixel_bound: float
    pixels: int
    features: int
    feature_scale: FeatureScale
    is_private: bool
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON: a signal without noise has the signal-to-noise ratio None."""
        fields = asdict(self)
        for layer in fields["layers"]:
            if layer["signal_to_noise"] is not None and not math.isfinite(layer["signal_to_noise"]):
                layer["signal_to_noise"] = None
        return fields

    def __str__(self) -> str:
        lines = [
            _HEADING,
            *map(str, self.layers),
            f"decisions: as by the float model on {self.agreement:.1%} of {self.frames} calibration frames",
        ]
        if self.accuracy is not None:
            lost = self.accuracy.float_model - self.accuracy.integer_model
            lines.append(
                f"accuracy on them: {self.accuracy.float_model:.1%} by the float model, "
                f"{self.accuracy.integer_model:.1%} by the integer model ({lost:+.1%} lost)"
            )
        lines.append(
            f"features: {self.features} from {self.pixels} pixels "
            f"(ratio {self.features / self.pixels:.3f}), integers in "
            f"[{self.feature_scale.low}, {self.feature_scale.high}]"
        )
        if self.is_private:
            lines.append("privacy against the cluster: not proved")
        else:
            lines.append("privacy against the cluster: none, the features are the frames")
        return "\n".join([*lines, *self.notes])
