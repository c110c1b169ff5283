"""The steps of a campaign with how far each is, and the commands that come next."""

from __future__ import annotations

from dataclasses import dataclass

from pvcnn.campaign.artefacts.folder import CEREMONY, CLUSTER_CARD, MANIFEST, PROGRAM
from pvcnn.campaign.status import CampaignStatus, State


@dataclass(frozen=True)
class Step:
    """One command of one role. detail: how far it is, in a few words."""

    name: str
    role: str
    done: bool
    detail: str


def steps(status: CampaignStatus) -> list[Step]:
    """All steps in their order, as far as they can be seen."""
    files, total = status.public_files, len(status.submissions)
    unanswered = status.count(State.UNANSWERED)
    outcomes = status.count(State.PROVED, State.REFUSED_BY_CLUSTER)
    to_prove = outcomes + status.count(State.UNPROVED, State.FAULTY)
    opened = sum(each.label_opened for each in status.submissions)
    aggregated = total > 0 and not status.to_aggregate and (status.aggregate_here or not outcomes)
    registered = f"{total} registered{_of_frames(status)}" if total else _delivered(status)
    return [
        Step("split", "owner", PROGRAM.name in files, ""),
        Step("keygen", "cluster", CLUSTER_CARD.name in files, ""),
        Step("setup", "setup party, owner", MANIFEST.name in files, _setup(status)),
        Step("encrypt", "testers", total > 0, registered),
        Step(
            "infer",
            "owner",
            total > 0 and not unanswered,
            f"{total - unanswered} of {total} answered" if total else "",
        ),
        Step(
            "prove",
            "cluster",
            total > 0 and not unanswered and outcomes == to_prove,
            f"{outcomes} of {to_prove} settled" if to_prove else "",
        ),
        Step(
            "aggregate",
            "aggregator",
            aggregated and status.settled,
            f"{outcomes - status.to_aggregate} of {outcomes} published" if outcomes else "",
        ),
        *_labels(status, opened, total),
        Step("verify", "anyone", status.verdict is not None and status.verdict.verified, _verdict(status)),
    ]


def next_commands(status: CampaignStatus) -> list[tuple[str, str]]:
    """(role, command) of what can be done now, with DIR for the folder; several may be free to go on."""
    files = status.public_files
    for name, role, command in (
        (PROGRAM.name, "owner", "split"),
        (CLUSTER_CARD.name, "cluster", "keygen"),
        (MANIFEST.name, "setup party, owner", "setup"),
    ):
        if name not in files:
            return [(role, _call(command))]
    if not status.submissions:
        waiting = [("owner", _call("infer"))] if status.delivered != 0 else []
        return [("testers", _call("encrypt")), *waiting]
    found = []
    if status.count(State.UNANSWERED):
        found.append(("owner", _call("infer")))
    if status.count(State.UNPROVED):
        found.append(("cluster", _call("prove")))
    if status.to_aggregate or (status.count(State.PROVED) and not status.aggregate_here):
        found.append(("aggregator", _call("aggregate")))
    elif status.takes_labels:
        pass
    elif status.aggregate_here and not all(each.label_opened for each in status.submissions):
        found.append(("testers", _call("open-labels")))
    if status.settled:
        found.append(("anyone", _call("verify")))
    return found


def unseen(status: CampaignStatus) -> list[str]:
    """What this folder does not show, in sentences."""
    found = []
    if status.delivered is None:
        found.append("The owner's mail is not here: how many testers have submitted is known to the owner.")
    if not status.proofs_here:
        found.append("Proofs are not here: what was not aggregated yet counts as unproved.")
    if status.count(State.REFUSED_BY_CLUSTER) and status.refusals_log is None:
        found.append("Why the cluster refused is in its own log, which is not here.")
    return found


def _setup(status: CampaignStatus) -> str:
    keys = "keys of a ceremony" if CEREMONY.name in status.public_files else "keys"
    if MANIFEST.name not in status.public_files:
        return f"{keys} are made, the manifest is not signed" if status.setup_keys else ""
    return keys if CEREMONY.name in status.public_files else ""


def _delivered(status: CampaignStatus) -> str:
    if status.delivered is None:
        return ""
    return f"{status.delivered} delivered{_of_frames(status)}, none registered yet"


def _labels(status: CampaignStatus, opened: int, total: int) -> list[Step]:
    """Where a count is proved of labels, nobody opens any."""
    if status.takes_labels:
        return []
    return [Step("open-labels", "testers", 0 < total == opened, f"{opened} of {total}" if total else "")]


def _of_frames(status: CampaignStatus) -> str:
    """What a submission is, where it is more than one frame."""
    return f" with {status.frames} frames each" if status.frames and status.frames > 1 else ""


def _verdict(status: CampaignStatus) -> str:
    if status.fault:
        return f"invalid: {status.fault}"
    if status.verdict is None:
        return ""
    return "verified" if status.verdict.verified else "nothing was proved"


def _call(command: str) -> str:
    return f"pvcnn {command} DIR"
