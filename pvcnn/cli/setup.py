"""`pvcnn setup`: proof keys, made here or by a ceremony, and the manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pvcnn.cli.ceremony_progress import drawn
from pvcnn.cli.cut_claims import print_claims
from pvcnn.cli.options import directory_argument, json_option, usage_errors
from pvcnn.cli.output import done, notes

if TYPE_CHECKING:
    from pvcnn.leak.summary import LeakSummary


@click.command("setup")
@directory_argument
@click.option("--party", help="Who makes the keys: named in the manifest. By default the owner.")
@click.option(
    "--max-proofs",
    type=click.IntRange(1, 1 << 14),
    help="Submissions that one aggregate may prove; by default 64.",
)
@click.option(
    "--batch",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="K",
    help="Frames in a submission, exactly: they share one proof.",
)
@click.option(
    "--classes",
    metavar="NAMES",
    help="Of all classes, in their order, with commas between; real,fake for a network with one logit.",
)
@click.option(
    "--cluster-fingerprint", help="Obtained out of band: the weights are then sealed to no other cluster."
)
@click.option(
    "--ceremony",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Take the keys of a finished `pvcnn ceremony`, verified as a whole, instead of making them.",
)
@click.option(
    "--leak",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE.cbor",
    help="What `pvcnn leak --out` measured of this cut: testers are shown it before they encrypt.",
)
@click.option(
    "--only",
    type=click.Choice(["keys", "manifest"]),
    help="Where party and owner differ: the party makes the keys, then the owner signs the manifest.",
)
@json_option
def setup_command(
    directory: Path,
    party: str | None,
    max_proofs: int | None,
    batch: int,
    classes: str | None,
    cluster_fingerprint: str | None,
    ceremony: Path | None,
    leak: Path | None,
    only: str | None,
    as_json: bool,
) -> None:
    """SETUP PARTY and OWNER: make proof keys, commit to the weights, sign the manifest."""
    from pvcnn.campaign.manifest import check_setup_party

    if ceremony is not None and (party is not None or max_proofs is not None):
        raise click.UsageError(
            "--party and --max-proofs are for keys made here: a ceremony has contributors, and has settled "
            "how many proofs an aggregate may have"
        )
    if party is not None:
        try:
            check_setup_party(party)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if leak is not None and only == "keys":
        raise click.UsageError("--leak is for the manifest, which --only keys does not make")
    figures = None if leak is None else _figures(directory, leak)
    report: dict[str, Any] = {"frames_per_submission": batch}
    if ceremony is not None:
        report |= _take_keys(directory, ceremony, batch, only)
    elif only != "manifest":
        report["setup_party"] = party or "owner"
        _make_keys(directory, max_proofs, batch)
    if only != "keys":
        report |= _sign(directory, party, batch, classes, cluster_fingerprint, figures, ceremony is not None)
    if not as_json:
        report.pop("cut", None)  # said already
    done(as_json, report)


def _figures(directory: Path, leak: Path) -> LeakSummary:
    """Those in the file, if they are of this campaign's cut: before keys are made for nothing."""
    from pvcnn.campaign.cut_claims import check_figures
    from pvcnn.campaign.folder import ENCRYPTION_PLAN, LEAK, CampaignFolder
    from pvcnn.files import read_bounded
    from pvcnn.he.plans import read_plan
    from pvcnn.leak.summary import LeakSummary

    figures = LeakSummary.from_bytes(read_bounded(leak, LEAK.max_bytes))
    plan = CampaignFolder(directory).public.read(ENCRYPTION_PLAN)
    check_figures(figures, read_plan(plan))
    return figures


def _make_keys(directory: Path, max_proofs: int | None, batch: int) -> None:
    from pvcnn.campaign.folder import CampaignFolder
    from pvcnn.campaign.setup_party import DEFAULT_MAX_PROOFS, run_setup

    with notes.status("compiling kernels if need be, making proof keys"), usage_errors():
        run_setup(CampaignFolder(directory), max_proofs or DEFAULT_MAX_PROOFS, batch)


def _take_keys(directory: Path, ceremony: Path, batch: int, only: str | None) -> dict[str, Any]:
    """Verifies a ceremony, and puts its keys into the campaign; those there already must be its own."""
    from pvcnn.campaign.adopted_keys import adopt_keys, check_adopted
    from pvcnn.campaign.folder import CampaignFolder

    take = check_adopted if only == "manifest" else adopt_keys
    with drawn() as progress, usage_errors():
        record = take(CampaignFolder(directory), ceremony, batch, progress)
    return {
        "ceremony": record.digest().hex(),
        "contributors": len(record.contributors),
        "transcript_verified": True,
    }


def _sign(
    directory: Path,
    party: str | None,
    batch: int,
    classes: str | None,
    cluster_fingerprint: str | None,
    figures: LeakSummary | None,
    transcript_verified: bool,
) -> dict[str, Any]:
    from pvcnn.campaign.cut_claims import CutClaims
    from pvcnn.campaign.owner import OwnerRole

    if cluster_fingerprint is None:
        notes.print("no --cluster-fingerprint: whoever wrote cluster.cbor will get the weights")
    names = [] if classes is None else classes.split(",")
    with notes.status("committing to the weights, signing"), usage_errors():
        owner = OwnerRole.open(directory)
        manifest = owner.publish_manifest(party, cluster_fingerprint, batch, names, figures)
    claims = CutClaims(manifest.broken_rules, figures)
    notes.print("Testers are told before they encrypt:")
    print_claims(claims, notes)
    report: dict[str, Any] = {"manifest": manifest.digest().hex(), "cut": claims.to_json()}
    if not manifest.ceremony_digest:
        return report | {"setup_party": manifest.setup_party}
    if not transcript_verified:
        notes.print(
            "only the ceremony's record was checked: `pvcnn ceremony verify FOLDER` checks the whole "
            "transcript, and so does this command with --ceremony FOLDER"
        )
    return report | {"ceremony": manifest.ceremony_digest.hex(), "transcript_verified": transcript_verified}
