"""Further campaigns under the keys of one that was set up."""

from __future__ import annotations

from pathlib import Path

from pvcnn.campaign.artefacts.folder import CampaignFolder
from pvcnn.campaign.roles.aggregator import aggregate_campaign
from pvcnn.campaign.roles.cluster import join_sibling
from pvcnn.campaign.roles.cluster_ledger import ClusterLedger
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.campaign.roles.evaluator import EvaluatorKeys, SubmissionEvaluator
from pvcnn.campaign.roles.owner import OwnerRole
from pvcnn.campaign.roles.prover import ProverKeys, SubmissionProver
from pvcnn.campaign.roles.tester import TesterRole
from tests.campaign import tiny


def play_sibling(base: CampaignFolder, fingerprint: str, root: Path, frames: int = 2) -> CampaignFolder:
    """A sibling campaign of `frames`, played by roles whose secrets stay in `base`.

    There must be a tester `camera` in `base`.
    """
    folder = base.create_sibling(root)
    ledger = OwnerRole.open(base.root).begin_sibling(folder)
    join_sibling(base, folder)
    camera = TesterRole.open(base, "camera").sibling(folder)
    for frame in tiny.frames(frames, seed=7):
        camera.encrypt(frame, None, fingerprint)
    ledger.close_registry({camera.public_key})
    evaluator = SubmissionEvaluator.with_keys(root, EvaluatorKeys.open(base.root))
    secrets = ClusterSecrets.load_from(base.private("cluster"))
    for index in range(frames):
        evaluated = evaluator.evaluate(index)
        assert not ledger.record(index, evaluated.sealed, features_digest=evaluated.features_digest).refused
    cluster = ClusterLedger.open(root)
    prover = SubmissionProver.with_keys(root, ProverKeys.open(base.root, secrets))
    for index in range(frames):
        cluster.take(index)
        examined = prover.examine(index)
        assert cluster.record(index, examined.outcome, examined.details)
    aggregate_campaign(folder)
    return folder
