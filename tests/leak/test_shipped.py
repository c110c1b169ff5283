"""The figures that the demo's testers are shown: of the shipped weights, or none at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvcnn.errors import DecodeError, VerificationError
from pvcnn.leak.shipped import FIGURES, ship_figures, shipped_figures
from pvcnn.leak.summary import LeakSummary
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.store import ONE_BLOCK_WEIGHTS

ROOT = Path(__file__).resolve().parents[2]


def test_they_are_of_the_shipped_weights_behind_the_demos_cut() -> None:
    figures = shipped_figures()
    assert (figures.cut, figures.input_shape, figures.feature_shape) == (
        str(PRIVATE_BLOCKS),
        (1, 64, 64),
        (8, 2, 2),
    )
    assert figures.private.count("Square") == 2
    assert any("does not hide identity" in warning for warning in figures.warnings())
    assert (ROOT / cbor2.loads(FIGURES.read_bytes())["script"]).is_file()


def test_those_of_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationError, match=r"figures of other weights than deepfake-one-block"):
        shipped_figures(FIGURES, ONE_BLOCK_WEIGHTS)
    ship_figures(shipped_figures(), tmp_path / "figures.cbor", ONE_BLOCK_WEIGHTS)
    with pytest.raises(VerificationError, match=r"other weights.*benchmarks/leak\.py --ship"):
        shipped_figures(tmp_path / "figures.cbor")


def test_those_of_another_cut_are_refused(tmp_path: Path) -> None:
    ship_figures(replace(shipped_figures(), cut="2"), tmp_path / "figures.cbor")
    with pytest.raises(VerificationError, match="figures of cut 2, not 3"):
        shipped_figures(tmp_path / "figures.cbor")


def test_flipped_bits(tmp_path: Path) -> None:
    honest, path = FIGURES.read_bytes(), tmp_path / "figures.cbor"
    expected, refused = shipped_figures(), 0
    for bit in range(0, 8 * len(honest), 7):
        data = bytearray(honest)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(bytes(data))
        try:
            assert shipped_figures(path) != expected, f"bit {bit}"
        except (DecodeError, VerificationError):
            refused += 1
    assert refused > len(honest) // 3


@given(data=st.binary(max_size=200))
def test_hostile_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("hostile") / "figures.cbor"
    path.write_bytes(data)
    with pytest.raises(DecodeError):
        shipped_figures(path)


def test_a_round_trip(tmp_path: Path) -> None:
    figures = replace(shipped_figures(), psnr=1)
    ship_figures(figures, tmp_path / "figures.cbor")
    found: LeakSummary = shipped_figures(tmp_path / "figures.cbor")
    assert found == figures
