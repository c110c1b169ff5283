"""The lowerings are compared on the same product, and what is too large is counted, not proved."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pvcnn.bench import lowerings
from pvcnn.bench.lowerings import lowerings_of, measure
from pvcnn.bench.products import ConvolutionShape, MatrixShape, circuit, operands, predicted
from pvcnn.cli.main import run
from pvcnn.errors import VerificationError
from pvcnn.program.windows import Windows
from pvcnn.qmp.lowering_plan import Lowering
from pvcnn.qmp.prover import prove_witness


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run(["bench", *arguments, "--json"]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return report


def test_matmul_reports_both_and_their_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(capsys, "matmul", "--n", "6", "--repeat", "2")
    assert report["verified"] is True
    assert set(report["lowerings"]) == {"qmp", "qap"}
    for step in ("setup", "prove", "constraints", "verify"):
        expected = report["reference"][step] / report["ours"][step]
        assert report["ratio"][step] == pytest.approx(expected)
    for key, name in (("ours", "qmp"), ("reference", "qap")):
        found = report["lowerings"][name]
        assert report[key]["prove"] == found["cpu"]["prove"]
        assert found["rate"]["prove"] == pytest.approx(found["constraints"] / found["cpu"]["prove"])
        assert found["bytes"]["proof"] == 240
        assert found["domain"] >= found["constraints"] == report[key]["constraints"]
    for key in ("constraints", "seconds", "bytes"):
        assert report[key] == report["lowerings"]["qmp"][key]
    assert report["lowerings"]["qap"]["constraints"] >= 6**3


def test_convolution_reports_every_lowering(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--channels", "2", "--outputs", "3", "--side", "6", "--repeat", "1")
    report = call(capsys, "convolution", *sizes)
    assert set(report["lowerings"]) == {"qmp", "qpp", "im2col", "qap"}
    assert report["ratio"]["constraints_im2col"] > 1


def test_groups_that_do_not_divide_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "convolution", "--channels", "4", "--outputs", "6", "--groups", "4"]) == 2
    assert "--groups" in capsys.readouterr().err


def test_a_kernel_larger_than_its_input_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "convolution", "--side", "2", "--kernel", "5"]) == 2
    assert "--padding" in capsys.readouterr().err


def test_tables_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "matmul", "--n", "2", "--repeat", "1"]) == 0
    printed = capsys.readouterr().out
    for name in ("qmp", "qap"):
        assert f"{name}, constraints a second of processor time: setup " in printed
    assert "qap over qmp" in printed


def test_what_is_over_the_limit_is_counted_only() -> None:
    shape = MatrixShape.square(8)
    report = measure(shape, 1, limit=8**3 - 1)
    assert report["lowerings"]["qap"] == {"constraints": predicted(shape, Lowering.QAP)}
    assert "seconds" in report["lowerings"]["qmp"]
    assert "reference" not in report
    assert set(report["ratio"]) == {"constraints"}
    assert report["verified"]
    assert not measure(shape, 1, limit=1)["verified"]


def test_a_proof_that_does_not_verify_ends_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(shape: MatrixShape) -> tuple[NDArray[np.int64], ...]:
        left, right, result = operands(shape)
        return left, right, result + np.eye(len(result), dtype=np.int64)

    monkeypatch.setattr(lowerings, "operands", wrong)
    monkeypatch.setattr(lowerings, "prove_witness", partial(prove_witness, check=False))
    with pytest.raises(VerificationError, match="pairing equation"):
        measure(MatrixShape.square(4), 1)


def test_the_product_is_that_of_its_operands() -> None:
    """By another way: one entry at a time."""
    shape = ConvolutionShape(4, 6, 9, Windows((3, 3), (2, 1), (1, 1, 1, 0), (2, 1)), 2)
    inputs, kernels, result = operands(shape)
    padded = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 0)))
    assert result.shape == (1, 6, 4, 8)
    for _, o, i, j in np.ndindex(*result.shape):
        group = padded[0, 2 * (o // 3) : 2 * (o // 3) + 2]
        assert result[0, o, i, j] == (group[:, 2 * i : 2 * i + 5 : 2, j : j + 3] * kernels[o]).sum()
    assert result.reshape(-1)[0] >= 0


def test_the_bars_in_constraints() -> None:
    """Matrices of 128 and 3x3, 16 to 32 channels on 32x32."""
    matrices, convolution = MatrixShape.square(128), ConvolutionShape(16, 32, 32)
    assert predicted(matrices, Lowering.QAP) >= 128**3 > 40 * predicted(matrices, Lowering.QMP)
    qmp = predicted(convolution, Lowering.QMP)
    assert 15 * qmp < predicted(convolution, Lowering.QAP)
    assert qmp < predicted(convolution, Lowering.QPP) < predicted(convolution, Lowering.IM2COL)


@pytest.mark.parametrize(
    "shape", [MatrixShape.square(8), ConvolutionShape(2, 4, 8)], ids=["matrices", "convolution"]
)
def test_all_lowerings_prove_the_same_commitments(shape: MatrixShape | ConvolutionShape) -> None:
    stage_ones = [circuit(shape, lowering).stage_one(operands(shape)) for lowering in lowerings_of(shape)]
    size = len(operands(shape)[2].reshape(-1)) - 1
    for other in stage_ones[1:]:
        assert (other.in_ == stage_ones[0].in_).all()
        assert (other.w == stage_ones[0].w).all()
        assert (other.aux[:size] == stage_ones[0].aux[:size]).all()
