"""The examples run as they stand, in a process of their own, and print what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_python_api(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "examples" / "python_api.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    for line in (
        "privacy against the cluster: not proved",
        "frame 0: decision 1, 240 bytes",
        "frame 1: decision 0, 240 bytes",
        "frame 2: decision 0, 240 bytes",
        "proof 0 for statement 1: the proof does not satisfy the pairing equation",
        "3 proofs verified at once",
    ):
        assert line in result.stdout
