"""A Ray session: one of our own on this machine, or an operator's cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pvcnn.compute.environment import ADDRESS
from pvcnn.errors import CampaignError, DependencyMissing

try:
    import ray
except ImportError as error:
    raise DependencyMissing("this needs ray: pip install 'pvcnn[prover]'") from error

#: Bytes of shared memory for Ray: tasks carry an index and a proof, keys are memory-mapped.
OBJECT_STORE_BYTES = 128 << 20
_LOOPBACK = "127.0.0.1"


@contextmanager
def local_session(processors: int, find_gpus: bool = False) -> Iterator[None]:
    """A Ray head of our own on the loopback interface, stopped at the end.

    processors: how many Ray may give away, whatever the machine has. find_gpus: give away GPUs too.
    Raises CampaignError if a session is open already, or if Ray was imported before `pvcnn.compute` could
    keep it on loopback.
    """
    _refuse_second()
    try:
        ray.init(
            address="local",
            num_cpus=processors,
            num_gpus=None if find_gpus else 0,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=OBJECT_STORE_BYTES,
            _node_ip_address=_LOOPBACK,
        )
        if ray.util.get_node_ip_address() != _LOOPBACK:
            raise CampaignError("Ray was imported before pvcnn.compute and would listen to the network")
        yield
    finally:
        ray.shutdown()


@contextmanager
def cluster_session(address: str) -> Iterator[None]:
    """A cluster that exists already: 'auto', or the HOST:PORT of its head.

    Raises CampaignError if a session is open already, and if there is no cluster or it wants another token.
    """
    _refuse_second()
    if address == "auto":
        # Of several clusters on one machine, a job's driver belongs to the one that Ray names to it.
        address = os.environ.get(ADDRESS, address)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise CampaignError(
            f"there is no Ray cluster at {address} that takes this process: {error}. Start one "
            "(cluster/README.md), and give its token as RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def processors() -> int:
    """How many processors the session's machines have in all."""
    return int(ray.cluster_resources().get("CPU", 0))


def check_gpus(per_worker: float) -> None:
    """Raises CampaignError if a worker asks for GPUs that no machine of the session declares."""
    if per_worker and not any(
        node["Alive"] and node["Resources"].get("GPU", 0) >= per_worker for node in ray.nodes()
    ):
        raise CampaignError("no GPU is declared on this Ray cluster: leave --gpus-per-worker out")


def _refuse_second() -> None:
    if ray.is_initialized():
        raise CampaignError("a Ray session is open in this process already: ray.shutdown() first")
