"""What attacks on the shipped detector found behind the demo's cut: a file beside its weights.

`python benchmarks/leak.py --ship` writes it. It names the weights that were attacked, so that figures of
other weights are never shown for these.
"""

from __future__ import annotations

from pathlib import Path

from pvcnn.encoding import decode, encode
from pvcnn.errors import VerificationError
from pvcnn.files import digest_of, read_bounded, write_atomically
from pvcnn.leak.summary import MAX_BYTES as MAX_SUMMARY
from pvcnn.leak.summary import LeakSummary
from pvcnn.models.deepfake import PRIVATE_BLOCKS
from pvcnn.models.store import WEIGHTS

FORMAT = "pvcnn-shipped-leak"
VERSION = 1
MAX_BYTES = MAX_SUMMARY + 1024
FIGURES = WEIGHTS.with_name("deepfake-leak.cbor")
_SCRIPT = "benchmarks/leak.py"


def shipped_figures(path: Path = FIGURES, weights: Path = WEIGHTS) -> LeakSummary:
    """The figures of the demo's cut. Raises DecodeError for a malformed file, and VerificationError if other
    weights than those in the file `weights`, or another cut than the demo's, were attacked.
    """
    fields = decode(read_bounded(path, MAX_BYTES), FORMAT, VERSION, MAX_BYTES)
    attacked, script = fields.octets("weights_digest", 32), fields.text("script", 256)
    summary = LeakSummary.from_bytes(fields.octets("summary", max_length=MAX_SUMMARY))
    fields.finish()
    if attacked != digest_of(weights):
        raise VerificationError(
            f"{path.name} has figures of other weights than {weights.name}: run {script} --ship"
        )
    if summary.cut != str(PRIVATE_BLOCKS):
        raise VerificationError(
            f"{path.name} has figures of cut {summary.cut}, not {PRIVATE_BLOCKS}: run {script} --ship"
        )
    return summary


def ship_figures(summary: LeakSummary, path: Path = FIGURES, weights: Path = WEIGHTS) -> None:
    """Writes the file, for the weights that were attacked."""
    fields = {"weights_digest": digest_of(weights), "script": _SCRIPT, "summary": summary.to_bytes()}
    write_atomically(path, encode(FORMAT, VERSION, fields))
