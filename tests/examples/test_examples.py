"""The examples run as they stand, in a process of their own, and print what they promise."""

from __future__ import annotations

import re
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
    assert len(re.findall(r"^frame [012]: decision [01], 240 bytes$", result.stdout, re.MULTILINE)) == 3
    for line in (
        "privacy against the cluster: not proved",
        "proof 0 for statement 1: the proof does not satisfy the pairing equation",
        "3 proofs verified at once",
    ):
        assert line in result.stdout
