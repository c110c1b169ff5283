"""The figures of a leak report that go with a cut, in integers: what testers see before they encrypt.

Needs no torch: whoever reads a manifest can read it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from pvcnn.encoding import Fields, decode, encode
from pvcnn.errors import DecodeError

FORMAT = "pvcnn-leak-summary"
VERSION = 1
MAX_BYTES = 1 << 14
MAX_TEXT = 1024
_MAX_SIDE, _MAX_COUNT, _MILLE = 1 << 20, 1 << 40, 1001
_MAX_DECIBELS = 120_000
_SHARES = ("frames_by_decoder", "frames_by_best", "copied_error", "correlation", "shuffled_correlation")
#: An attacker who predicts features this well (per mille of their spread) has a copy of the private part.
COPIED = 100
#: A decoder whose pictures find the right frame more often than this (per mille) restores frames.
RESTORED = 500

#: Words for the layers that count in a description, and what encryption plans call them.
LAYER_KINDS = {"Conv2d": "convolution", "Linear": "linear", "Square": "square", "Polynomial": "polynomial"}
_MEAN = "AveragePool"


@dataclass(frozen=True)
class PersonFigures:
    """How often the right one of `count` people (or classes: `kind`) was named, per mille."""

    kind: str
    count: int
    by_decoder: int
    by_best: int
    chance: int


@dataclass(frozen=True)
class LeakSummary:
    """The attacks on one private part. `private` describes its layers in words; digests play no part.

    `budget_milliseconds`: the attackers' budget. `psnr`: of the decoder's pictures of unseen people, in
    thousandths of a decibel. All shares are per mille: structural `similarity` (-1000 to 1000), the right
    frame among `candidates` by decoder and by the strongest attacker, the `copied_error` of predicted
    features relative to their spread (1000: no better than their mean), distance correlations, true and
    of shuffled pairs. `people` is None where frames show nobody. Raises ValueError for figures out of range.
    """

    cut: str
    private: str
    data: str
    input_shape: tuple[int, ...]
    feature_shape: tuple[int, ...]
    training_frames: int
    budget_milliseconds: int
    decoder_steps: int
    psnr: int
    similarity: int
    candidates: int
    frames_by_decoder: int
    frames_by_best: int
    people: PersonFigures | None
    is_blindly_identified: bool
    weights_method: str
    copied_error: int
    correlation: int
    shuffled_correlation: int

    def __post_init__(self) -> None:
        try:
            _taken(decode(self.to_bytes(), FORMAT, VERSION, MAX_BYTES))
        except DecodeError as error:
            raise ValueError(str(error)) from error

    def to_bytes(self) -> bytes:
        """Canonical (docs/formats.md)."""
        people = self.people
        identified = (
            []
            if people is None
            else [
                {
                    "kind": people.kind,
                    "count": people.count,
                    "by_decoder": people.by_decoder,
                    "by_best": people.by_best,
                    "chance": people.chance,
                }
            ]
        )
        fields = {
            "cut": self.cut,
            "private": self.private,
            "data": self.data,
            "input_shape": list(self.input_shape),
            "feature_shape": list(self.feature_shape),
            "training_frames": self.training_frames,
            "budget_milliseconds": self.budget_milliseconds,
            "decoder_steps": self.decoder_steps,
            "psnr": self.psnr,
            "similarity": self.similarity,
            "candidates": self.candidates,
            "frames_by_decoder": self.frames_by_decoder,
            "frames_by_best": self.frames_by_best,
            "people": identified,
            "is_blindly_identified": self.is_blindly_identified,
            "weights_method": self.weights_method,
            "copied_error": self.copied_error,
            "correlation": self.correlation,
            "shuffled_correlation": self.shuffled_correlation,
        }
        return encode(FORMAT, VERSION, fields)

    @classmethod
    def from_bytes(cls, data: bytes) -> LeakSummary:
        """Raises DecodeError for anything but what `to_bytes` makes."""
        return cls(**_taken(decode(data, FORMAT, VERSION, MAX_BYTES)))

    def mismatch(self, input_shape: tuple[int, ...], feature_shape: tuple[int, ...]) -> str:
        """Why these are not the figures of a cut with such frames and features; empty if they can be."""
        for what, own, other in (
            ("frames", self.input_shape, tuple(input_shape)),
            ("features", self.feature_shape, tuple(feature_shape)),
        ):
            if own != other:
                return (
                    f"the leak figures are of another cut: they were measured for {what} of shape {own}, "
                    f"and the cut has {other}; measure this cut with pvcnn leak"
                )
        return ""

    @property
    def layer_kinds(self) -> tuple[str, ...] | None:
        """Of the layers in `private` but for means, as encryption plans call them; None for other words."""
        words = [layer.partition(" ")[0] for layer in self.private.split(", ")]
        if not set(words) <= {*LAYER_KINDS, _MEAN}:
            return None
        return tuple(LAYER_KINDS[word] for word in words if word != _MEAN)

    def warnings(self) -> list[str]:
        """What the figures do not allow to be passed over, and what no figures can promise."""
        found = ["privacy against the cluster: not proved; these attacks were tried, stronger ones exist"]
        people = self.people
        if self.frames_by_decoder > RESTORED:
            found.append(
                "a decoder restores frames: by its pictures the right one of "
                f"{self.candidates} unseen ones is found for {_percent(self.frames_by_decoder)} of features, "
                f"more than {_percent(RESTORED)}; this cut does not hide {_what(people)} from the cluster"
            )
        if people is not None and people.by_best > _noticeable(people.chance, self.candidates):
            found.append(
                f"this cut does not hide {_what(people)} from the cluster: the right {people.kind} of "
                f"{people.count} unseen ones is named for {_percent(people.by_best)} of frames "
                f"(by chance {_percent(people.chance)})"
            )
        if self.frames_by_best > _noticeable(1000 // max(self.candidates, 1), self.candidates):
            found.append(
                f"the cluster recognises frames: the right one of {self.candidates} unseen ones is found for "
                f"{_percent(self.frames_by_best)} of features"
            )
        if self.is_blindly_identified:
            found.append(
                "this cut hides nothing: the features of one frame alone give away filters and frame"
            )
        if self.copied_error < COPIED:
            found.append(
                "a cluster that enrols as a tester recovers what the private part computes "
                f"({self.weights_method}): it must not be able to enrol"
            )
        return found

    def lines(self) -> list[str]:
        """For people: the figures, then the warnings."""
        pixels, features = math.prod(self.input_shape), math.prod(self.feature_shape)
        lines = [
            f"private part: {self.private}",
            f"features over pixels: {features} of {pixels}, a ratio of {features / pixels:.3f}",
            f"attacks on {self.data}; budget {self.budget_milliseconds / 1000:g} s of one thread, "
            f"{self.training_frames} frames to train on, {self.decoder_steps} steps of the decoder",
            f"reconstruction: {self.psnr / 1000:.1f} dB, structural similarity {self.similarity / 1000:.2f}",
            f"right frame among {self.candidates}: {_percent(self.frames_by_decoder)} by the decoder, "
            f"{_percent(self.frames_by_best)} by the strongest attack",
        ]
        people = self.people
        if people is not None:
            lines.append(
                f"right {people.kind} among {people.count}: {_percent(people.by_decoder)} by the decoder, "
                f"{_percent(people.by_best)} by the strongest attack, {_percent(people.chance)} by chance"
            )
        lines.append(
            f"private part imitated ({self.weights_method}): error {_percent(self.copied_error)} of the "
            "features' spread"
        )
        lines.append(
            f"distance correlation: {self.correlation / 1000:.2f}, of shuffled pairs "
            f"{self.shuffled_correlation / 1000:.2f}"
        )
        return lines + self.warnings()


def _what(people: PersonFigures | None) -> str:
    return "identity" if people is not None and people.kind == "person" else "what frames show"


def _noticeable(chance: int, trials: int) -> float:
    """Per mille: three standard deviations above `chance`."""
    share = chance / 1000
    return 1000 * (share + 3 * math.sqrt(share * (1 - share) / max(trials, 1)))


def _percent(share: int) -> str:
    return f"{share / 10:.1f}%"


def _taken(fields: Fields) -> dict[str, Any]:
    """LeakSummary's arguments. Raises DecodeError for fields that are missing, unknown or out of range."""
    found: dict[str, Any] = {name: _printable(fields, name) for name in ("cut", "private", "data")}
    for name in ("input_shape", "feature_shape"):
        shape = fields.integer_sequence(name, 3, 1, _MAX_SIDE)
        if not shape or math.prod(shape) > _MAX_COUNT:
            raise DecodeError(f"{FORMAT}: field {name!r} must hold 1 to 3 sizes of a tensor")
        found[name] = tuple(shape)
    for name in ("training_frames", "budget_milliseconds", "decoder_steps", "candidates"):
        found[name] = fields.integer(name, 1, _MAX_COUNT)
    found["psnr"] = fields.integer("psnr", -_MAX_DECIBELS, _MAX_DECIBELS + 1)
    found["similarity"] = fields.integer("similarity", 1 - _MILLE, _MILLE)
    for name in _SHARES:
        found[name] = fields.integer(name, 0, _MILLE)
    people = fields.mappings("people", 1)
    found["people"] = _people(people[0]) if people else None
    found["is_blindly_identified"] = fields.boolean("is_blindly_identified")
    found["weights_method"] = _printable(fields, "weights_method")
    fields.finish()
    if found["frames_by_best"] < found["frames_by_decoder"]:
        raise DecodeError(f"{FORMAT}: the strongest attack is weaker than the decoder")
    return found


def _people(fields: Fields) -> PersonFigures:
    kind, count = _printable(fields, "kind"), fields.integer("count", 2, _MAX_COUNT)
    shares = [fields.integer(name, 0, _MILLE) for name in ("by_decoder", "by_best", "chance")]
    fields.finish()
    if shares[1] < shares[0]:
        raise DecodeError(f"{FORMAT}: the strongest attack is weaker than the decoder")
    return PersonFigures(kind, count, *shares)


def _printable(fields: Fields, name: str) -> str:
    text = fields.text(name, MAX_TEXT)
    if not text.isprintable():
        raise DecodeError(f"{FORMAT}: field {name!r} must be printable")
    return text
