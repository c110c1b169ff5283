"""A Ray cluster's job server, as far as submitting needs it: attempts by number, and logs as they grow.

Attempts of the same campaign have consecutive numbers, and Ray gives a name away once: of two who submit
the same attempt at the same time, one gets it and the other follows.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import cast

from ray.exceptions import RayError

from pvcnn.compute.job_events import MAX_LINE
from pvcnn.errors import CampaignError, DependencyMissing

try:
    import aiohttp
    from ray.job_submission import JobDetails, JobSubmissionClient
except ImportError as error:
    raise DependencyMissing("this needs ray[default]: pip install 'pvcnn[prover]'") from error

#: A lost connection to a log is made anew so many times in a row.
_RECONNECTIONS = 5
_TICK_SECONDS = 1.0
_DIGITS = 16
#: Loggers that tell of every upload and connection, and advise against large files.
_CHATTY = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
_FAILURES = (RuntimeError, OSError, RayError, aiohttp.ClientError)


class JobBoard:
    """The jobs of one campaign on one cluster.

    registry: digest of the registry that the jobs serve. Every method raises CampaignError if the job
    server cannot be reached or refuses.
    """

    def __init__(self, address: str, registry: bytes) -> None:
        self.address = address
        self._stem = f"pvcnn-{registry.hex()[:_DIGITS]}"
        for logger in _CHATTY:
            logging.getLogger(logger).setLevel(logging.ERROR)
        with self._explained():
            self._client = JobSubmissionClient(address)

    def name(self, attempt: int) -> str:
        """What Ray calls an attempt."""
        return f"{self._stem}-{attempt}"

    def attempts(self) -> dict[int, bool]:
        """Whether each attempt that the cluster knows of is over, by number, in ascending order."""
        with self._explained():
            jobs = self._client.list_jobs()
        found = {}
        for job in jobs:
            match = re.fullmatch(re.escape(self._stem) + r"-([1-9][0-9]{0,8})", job.submission_id or "")
            if match:
                found[int(match[1])] = bool(job.status.is_terminal())
        return dict(sorted(found.items()))

    def submit(self, attempt: int, entrypoint: str, bundle: Path) -> bool:
        """False if there is such an attempt already."""
        try:
            self._submit(self.name(attempt), entrypoint, bundle)
        except _FAILURES as error:
            if attempt in self.attempts():
                return False
            raise self._explanation(error) from error
        return True

    def submit_delivery(self, entrypoint: str, bundle: Path) -> str:
        """A job beside the attempts; returns its name."""
        name = f"{self._stem}-keys-{secrets.token_hex(8)}"
        with self._explained():
            self._submit(name, entrypoint, bundle)
        return name

    def over(self, name: str) -> bool:
        return bool(self._details(name).status.is_terminal())

    def state(self, name: str) -> str:
        """What Ray says has become of a job, in a word."""
        return str(self._details(name).status.value)

    def succeeded(self, name: str) -> bool:
        return self.state(name) == "SUCCEEDED"

    def forget(self, name: str) -> None:
        """Deletes what the server knows of a job that is over. Its bundle goes with its last user."""
        with self._explained():
            self._client.delete_job(name)

    def follow(self, name: str) -> Iterator[str | None]:
        """The lines of a job's log from its start, until the job is over; now and then None, if nothing came.

        A line longer than any event's is left out.
        """
        given = 0
        failures = 0
        while True:
            number = 0
            try:
                for line in _whole_lines(self._chunks(name)):
                    if line is not None:
                        number += 1
                        if number <= given:  # seen before the connection was lost
                            continue
                        given = number
                        failures = 0
                    yield line
                if self.over(name):
                    return
            except _FAILURES as error:
                if failures == _RECONNECTIONS:
                    raise self._explanation(error) from error
            failures += 1
            if failures > _RECONNECTIONS:
                raise self._explanation("the log ends and the job does not")
            yield None

    def _chunks(self, name: str) -> Iterator[str | None]:
        """Pieces of the log as they come, and None whenever a second passes without."""
        with asyncio.Runner() as runner:
            stream = cast(AsyncGenerator[str, None], self._client.tail_job_logs(name))
            piece: asyncio.Task[str] | None = None

            async def wait() -> str | None:
                nonlocal piece
                if piece is None:
                    piece = asyncio.ensure_future(anext(stream))
                done, _ = await asyncio.wait({piece}, timeout=_TICK_SECONDS)
                if not done:
                    return None
                ready, piece = piece, None
                return ready.result()

            async def close() -> None:
                if piece is not None:
                    piece.cancel()
                    with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration, *_FAILURES):
                        await piece
                await stream.aclose()

            try:
                while True:
                    try:
                        chunk = runner.run(wait())
                    except StopAsyncIteration:
                        return
                    yield chunk
            finally:
                runner.run(close())

    def _submit(self, name: str, entrypoint: str, bundle: Path) -> None:
        self._client.submit_job(
            entrypoint=entrypoint, submission_id=name, runtime_env={"working_dir": str(bundle)}
        )

    def _details(self, name: str) -> JobDetails:
        with self._explained():
            return self._client.get_job_info(name)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise self._explanation(error) from error

    def _explanation(self, error: object) -> CampaignError:
        return CampaignError(
            f"the job server at {self.address} does not do as asked: {error}. Is it the address of a Ray "
            "dashboard, and its token in RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH?"
        )


def _whole_lines(chunks: Iterator[str | None]) -> Iterator[str | None]:
    """The lines of a text that comes in pieces, without their ends; None is passed on."""
    start = ""
    skipping = False
    for chunk in chunks:
        if chunk is None:
            yield None
            continue
        *lines, rest = chunk.split("\n")
        for line in lines:
            if skipping:
                skipping = False
            else:
                yield start + line
            start = ""
        if not skipping:
            start += rest
        if len(start) > MAX_LINE:
            start, skipping = "", True
    if start and not skipping:
        yield start
