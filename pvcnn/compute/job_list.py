"""A campaign's jobs on a Ray cluster, as the cluster's job server tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pvcnn.errors import CampaignError, DependencyMissing

try:
    from ray.job_submission import JobDetails, JobSubmissionClient
except ImportError as error:
    raise DependencyMissing("this needs ray[default]: pip install 'pvcnn[prover]'") from error

_DIGITS = 16


@dataclass(frozen=True)
class Job:
    """started, ended: UTC, ISO 8601; empty before. state, message: Ray's words."""

    name: str
    state: str
    started: str
    ended: str
    message: str


def jobs_of(address: str, registry: str) -> list[Job]:
    """The jobs that serve the registry with this digest (hexadecimal), the latest last.

    address: of the dashboard, http://HOST:8265. Raises CampaignError if it cannot be asked.
    """
    try:
        listed = JobSubmissionClient(address).list_jobs()
    except (RuntimeError, OSError, ValueError) as error:
        raise CampaignError(
            f"the job server at {address} does not answer: {error}. Is it the address of a Ray dashboard, "
            "and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH?"
        ) from error
    prefix = f"pvcnn-{registry[:_DIGITS]}-"
    ours = [each for each in listed if (each.submission_id or "").startswith(prefix)]
    return [_job(each) for each in sorted(ours, key=lambda each: each.start_time or 0)]


def _job(details: JobDetails) -> Job:
    return Job(
        details.submission_id or "",
        str(details.status.value),
        _time(details.start_time),
        _time(details.end_time),
        details.message or "",
    )


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
