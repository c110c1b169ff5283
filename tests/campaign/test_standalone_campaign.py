"""scripts/verify_aggregate.py on whole folders: the package's verdict, by code that shares none with it."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pvcnn.campaign.artefacts.answer import ClusterRefusal
from pvcnn.campaign.artefacts.folder import AGGREGATE, ANSWERS, LABELS, REFUSALS, STATEMENTS, CampaignFolder
from pvcnn.campaign.artefacts.identity import Identity
from pvcnn.campaign.artefacts.outcome import ClusterOutcome
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.verification.auditor import verify
from pvcnn.errors import PvcnnError
from pvcnn.qmp.statement import Statement
from tests.aggregate import standalone
from tests.campaign.tiny import Played

script = standalone.load_campaign()

#: Everything but the standard library and what py_ecc itself needs.
ALONE = f"""
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('pvcnn', 'cbor2', 'cryptography', 'py_arkworks_bls12381', 'numpy', 'numba'):
            raise ImportError('blocked: ' + name)
sys.meta_path.insert(0, Blocker())
runpy.run_path({str(standalone.SCRIPT)!r}, run_name='__main__')
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ALONE, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def code_of(folder: CampaignFolder) -> int:
    """The exit code for a folder, without another interpreter."""
    try:
        script.Campaign(folder.public.path).verify()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def package_accepts(folder: CampaignFolder) -> bool:
    try:
        return verify(folder.root).verified
    except PvcnnError:
        return False


def test_a_valid_campaign(played: Played) -> None:
    """It prints the decisions, the registry, and what is not proved."""
    verdict = verify(played.folder.root)
    result = run(str(played.folder.root))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1] == "VALID"
    for outcome in verdict.outcomes:
        decision = "fake" if outcome.decisions[0] else "real"
        label = "fake" if outcome.labels == (1,) else "real"
        assert f"#{outcome.index} tester {outcome.tester[:16]}: {decision} (label: {label})" in lines
    assert verdict.registry_digest in result.stdout
    assert "setup: single party owner: do not rely on it against owner" in lines
    assert "trusted to owner" in result.stdout
    assert "Not proved" in result.stdout
    assert "4 proofs" in result.stderr


def test_usage(tmp_path: Path) -> None:
    assert run().returncode == 2
    assert run("one", "two").returncode == 2
    assert run(str(tmp_path / "nothing")).returncode == 2
    assert run(str(tmp_path)).returncode == 2


def test_a_changed_byte_in_any_file(copy: CampaignFolder) -> None:
    rng = random.Random(20)
    paths = sorted(path for path in copy.public.path.rglob("*.cbor"))
    assert len(paths) == 9 + 3 * 4
    for path in paths:
        honest = path.read_bytes()
        changed = bytearray(honest)
        changed[rng.randrange(len(changed))] ^= rng.randrange(1, 256)
        path.write_bytes(changed)
        assert code_of(copy) in (1, 2), path
        path.write_bytes(honest)


def drop_statement(folder: CampaignFolder) -> None:
    folder.public.indexed(STATEMENTS, 1).unlink()


def swap_statements(folder: CampaignFolder) -> None:
    first, second = (folder.public.indexed(STATEMENTS, index) for index in (0, 1))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)


def claim_no_decision(folder: CampaignFolder) -> None:
    path = folder.public.indexed(STATEMENTS, 1)
    path.write_bytes(replace(Statement.from_bytes(path.read_bytes()), outputs=(2,)).to_bytes())


def drop_aggregate(folder: CampaignFolder) -> None:
    folder.public.file(AGGREGATE).unlink()


def drop_answer(folder: CampaignFolder) -> None:
    folder.public.indexed(ANSWERS, 2).unlink()


def add_stranger(folder: CampaignFolder) -> None:
    (folder.public.path / "notes.txt").write_text("nothing")


def add_unregistered(folder: CampaignFolder) -> None:
    shutil.copy(folder.public.indexed(LABELS, 0), folder.public.indexed(LABELS, 7))


def link_to_a_file(folder: CampaignFolder) -> None:
    path = folder.public.indexed(LABELS, 0)
    target = folder.root / "elsewhere.cbor"
    shutil.move(path, target)
    path.symlink_to(target)


def exchange_labels(folder: CampaignFolder) -> None:
    shutil.copy(folder.public.indexed(LABELS, 0), folder.public.indexed(LABELS, 1))


def refuse_what_is_proved(folder: CampaignFolder) -> None:
    publish_refusal(folder, 0, "cluster")


def refuse_in_the_clusters_name(folder: CampaignFolder) -> None:
    folder.public.indexed(STATEMENTS, 0).unlink()
    publish_refusal(folder, 0, "owner")


def refuse_and_keep_the_aggregate(folder: CampaignFolder) -> None:
    folder.public.indexed(STATEMENTS, 0).unlink()
    publish_refusal(folder, 0, "cluster")


def publish_refusal(folder: CampaignFolder, index: int, role: str) -> None:
    signing = Identity.load_from(folder.private(role), "keygen").signing
    context = Proceedings.read(folder.public).submission(folder.public, index).context
    refusal = ClusterRefusal(signer=signing.public, context=context).signed(signing)
    folder.public.indexed(REFUSALS, index).write_bytes(refusal.to_bytes())


@pytest.mark.parametrize(
    ("tamper", "code"),
    [
        (drop_statement, 1),
        (swap_statements, 1),
        (claim_no_decision, 1),
        (drop_aggregate, 2),
        (drop_answer, 2),
        (add_stranger, 2),
        (add_unregistered, 1),
        (link_to_a_file, 2),
        (exchange_labels, 1),
        (refuse_what_is_proved, 1),
        (refuse_in_the_clusters_name, 1),
        (refuse_and_keep_the_aggregate, 1),
    ],
)
def test_tampering(tamper: Callable[[CampaignFolder], None], code: int, copy: CampaignFolder) -> None:
    assert package_accepts(copy)
    tamper(copy)
    assert code_of(copy) == code
    assert not package_accepts(copy)


def test_a_submission_that_the_cluster_refuses(
    copy: CampaignFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts as failed, and the others are proved without it."""
    signing = Identity.load_from(copy.private("cluster"), "keygen").signing
    context = Proceedings.read(copy.public).submission(copy.public, 2).context
    refusal = ClusterRefusal(signer=signing.public, context=context).signed(signing)
    copy.outcome(context).write_bytes(ClusterOutcome(refusal=refusal).to_bytes())
    aggregate_campaign(copy)
    assert package_accepts(copy)
    assert code_of(copy) == 0
    output = capsys.readouterr().out
    assert "4 submissions registered, 3 proved" in output
    assert "1 refused: these count as failed" in output


def test_files_of_another_campaign(copy: CampaignFolder, other: Played) -> None:
    for path in sorted(other.folder.public.path.glob("*.cbor")):
        target = copy.public.path / path.name
        honest = target.read_bytes()
        if honest != path.read_bytes():
            shutil.copy(path, target)
            assert code_of(copy) in (1, 2), path.name
            target.write_bytes(honest)
