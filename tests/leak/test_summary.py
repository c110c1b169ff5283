"""The figures that go with a cut: bytes, words, and refusals."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.errors import DecodeError
from pvcnn.leak.summary import LeakSummary, PersonFigures

SUMMARY = LeakSummary(
    cut="1",
    private="Conv2d 1-8 3x3, Square, AveragePool 4x4",
    data="faces",
    input_shape=(1, 64, 64),
    feature_shape=(8, 16, 16),
    training_frames=5120,
    budget_milliseconds=150_000,
    decoder_steps=1500,
    psnr=19_500,
    similarity=640,
    candidates=320,
    frames_by_decoder=980,
    frames_by_best=994,
    people=PersonFigures("person", 8, 560, 903, 114),
    is_blindly_identified=False,
    weights_method="quadratic system",
    copied_error=3,
    correlation=822,
    shuffled_correlation=737,
)
GOOD = SUMMARY.to_bytes()


def test_round_trip() -> None:
    assert LeakSummary.from_bytes(GOOD) == SUMMARY
    nobody = replace(SUMMARY, people=None)
    assert LeakSummary.from_bytes(nobody.to_bytes()) == nobody


def test_flipped_bit_is_another_summary_or_none() -> None:
    for bit in range(8 * len(GOOD)):
        data = bytearray(GOOD)
        data[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(DecodeError):
            assert LeakSummary.from_bytes(bytes(data)) != SUMMARY, f"bit {bit}"


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    with pytest.raises(DecodeError):
        LeakSummary.from_bytes(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"psnr": 120_001},
        {"psnr": True},
        {"similarity": -1001},
        {"frames_by_best": 979},  # weaker than the decoder
        {"frames_by_best": 1001},
        {"copied_error": -1},
        {"candidates": 0},
        {"input_shape": []},
        {"input_shape": [1, 2, 3, 4]},
        {"feature_shape": [1 << 19, 1 << 19, 1 << 19]},
        {"feature_shape": [0]},
        {"cut": "\x1b[2J"},
        {"private": "x" * 1025},
        {"people": [{}, {}]},
        {"people": [{"kind": "person", "count": 8, "by_decoder": 5, "by_best": 4, "chance": 1}]},
        {"people": [{"kind": "person", "count": 1, "by_decoder": 5, "by_best": 5, "chance": 1}]},
        {"unknown": 1},
        {"version": 2},
        {"format": "pvcnn-manifest"},
    ],
)
def test_malformed(changes: dict[str, object]) -> None:
    data = cbor2.dumps({**cbor2.loads(GOOD), **changes}, canonical=True)
    with pytest.raises(DecodeError):
        LeakSummary.from_bytes(data)


@pytest.mark.parametrize("name", [name for name in cbor2.loads(GOOD) if name not in ("format", "version")])
def test_no_field_may_be_missing(name: str) -> None:
    body = cbor2.loads(GOOD)
    del body[name]
    with pytest.raises(DecodeError, match="missing"):
        LeakSummary.from_bytes(cbor2.dumps(body, canonical=True))


def test_figures_out_of_range_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="similarity"):
        replace(SUMMARY, similarity=1001)


def test_figures_of_another_cut_are_told() -> None:
    assert not SUMMARY.mismatch((1, 64, 64), (8, 16, 16))
    assert "features" in SUMMARY.mismatch((1, 64, 64), (16, 8, 8))
    assert "frames" in SUMMARY.mismatch((1, 32, 32), (8, 16, 16))
    assert SUMMARY.mismatch((1, 64, 64), (2048,))


def test_what_is_said() -> None:
    lines = SUMMARY.lines()
    assert any("2048 of 4096, a ratio of 0.500" in line for line in lines)
    assert any(
        "56.0% by the decoder, 90.3% by the strongest attack, 11.4% by chance" in line for line in lines
    )
    tried = f"{SUMMARY.training_frames} frames to train on, {SUMMARY.decoder_steps} steps of the decoder"
    assert any(tried in line for line in lines)
    text = " ".join(lines)
    assert "privacy against the cluster: not proved" in text
    assert "does not hide identity" in text
    assert "hides nothing" not in text
    assert "hides nothing" in " ".join(replace(SUMMARY, is_blindly_identified=True).warnings())
    digits = replace(SUMMARY, people=PersonFigures("class", 10, 900, 950, 100))
    assert "does not hide what frames show" in " ".join(digits.warnings())
    quiet = replace(
        SUMMARY,
        people=PersonFigures("person", 8, 110, 120, 114),
        frames_by_decoder=3,
        frames_by_best=6,
        copied_error=700,
    )
    assert len(quiet.warnings()) == 1
    assert "not proved" in quiet.warnings()[0]


@pytest.mark.parametrize(("found", "said"), [(500, False), (501, True)])
def test_a_decoder_that_finds_more_than_half_of_the_frames(found: int, said: bool) -> None:
    """And it never says that identity is hidden."""
    figures = replace(SUMMARY, frames_by_decoder=found)
    (warning, *_) = [each for each in figures.warnings() if "a decoder restores frames" in each] or [""]
    assert bool(warning) is said
    if said:
        assert "for 50.1% of features, more than 50.0%" in warning
        assert warning.endswith("this cut does not hide identity from the cluster")
        nobody = replace(figures, people=None)
        assert any("does not hide what frames show" in each for each in nobody.warnings())
