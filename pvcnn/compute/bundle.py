"""What a job takes along: the part of a campaign folder that workers and the aggregator need.

All of it is public or sealed. Nothing of private/ goes in, and nothing of mail/owner. Ray hands the
bundle to every process of the job as its working directory, so it is laid out as a campaign folder.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pvcnn.campaign.folder import (
    AGGREGATE,
    ANSWERS,
    OPTIONAL_FILES,
    PUBLIC_FILES,
    REFUSALS,
    STATEMENTS,
    WEIGHTS,
    CampaignFolder,
)
from pvcnn.campaign.submission import Proceedings
from pvcnn.errors import CampaignError

#: Ray's job server takes no more than 100 MiB in one request.
MAX_BUNDLE_BYTES = 100 << 20
#: What a file costs in the archive beside its contents, generously.
_BYTES_PER_FILE = 512
#: Makes every job's bundle its own: Ray keeps one directory for equal ones, with what was written to it.
_NAME_FILE = "job"


def make_bundle(
    folder: CampaignFolder, target: Path, name: str, indices: Sequence[int], max_bytes: int = MAX_BUNDLE_BYTES
) -> list[int]:
    """Fills the empty directory `target` for the job `name`; files are linked where that is possible.

    Takes the answers to as many of `indices`, in their order, as fit, and returns those. Raises
    CampaignError if not even one fits, or if a file is missing.
    """
    answers = _answers(folder, indices)
    fixed = _fixed_files(folder)
    left = max_bytes - sum(map(_cost, fixed))
    taken = []
    for index, answer in answers.items():
        left -= _cost(answer)
        if left < 0:
            break
        taken.append(index)
    if not taken:
        raise CampaignError(
            f"{folder.root} does not fit into the {max_bytes >> 20} MiB that Ray's job server takes: put "
            "it on storage that all machines share and submit `pvcnn prove` (docs/tutorials/operator.md)"
        )
    for path in [*fixed, *(answers[index] for index in taken)]:
        _link(path, target / path.relative_to(folder.root))
    inner = CampaignFolder(target)
    for directory in (inner.public.path / STATEMENTS.name, inner.public.path / REFUSALS.name, inner.proofs):
        directory.mkdir(parents=True, exist_ok=True)
    # Where workers of one machine share the proving key as their kernels want it.
    inner.private("cluster")
    (target / _NAME_FILE).write_text(name)
    return taken


def bundled(folder: CampaignFolder, indices: Sequence[int]) -> list[int]:
    """Those of `indices` whose answers are in the folder."""
    return [index for index, answer in _answers(folder, indices).items() if answer.exists()]


def _fixed_files(folder: CampaignFolder) -> list[Path]:
    """All but the answers to prove."""
    public = folder.public
    files = [public.file(which) for which in PUBLIC_FILES if which not in (AGGREGATE, *OPTIONAL_FILES)]
    files += [public.file(which) for which in OPTIONAL_FILES if public.file(which).exists()]
    files += [public.indexed(ANSWERS, index) for index in sorted(public.indices(ANSWERS))]
    published = public.file(WEIGHTS).exists()
    files += [folder.proving_key, folder.aggregation_key, *([] if published else [folder.sealed_weights])]
    batches = sorted(folder.mail("cluster").glob("*.rows"))  # which answer lies in which, is sealed
    return [*files, *batches, *sorted(folder.proofs.glob("*.cbor"))]


def _answers(folder: CampaignFolder, indices: Sequence[int]) -> dict[int, Path]:
    """Where the sealed answers are."""
    proceedings = Proceedings.read(folder.public)
    digests = {index: proceedings.submission(folder.public, index).answer.answer_digest for index in indices}
    return {index: folder.mail("cluster") / f"{digest.hex()}.sealed" for index, digest in digests.items()}


def _cost(path: Path) -> int:
    try:
        return path.stat().st_size + _BYTES_PER_FILE
    except FileNotFoundError as error:
        raise CampaignError(f"{path} is missing: the cluster needs it to prove") from error


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
