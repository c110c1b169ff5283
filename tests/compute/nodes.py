"""Real Ray nodes on this machine: a raylet, an object store and workers each, on loopback."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pvcnn.compute  # noqa: F401 - settles on loopback and a token before Ray is imported

# isort: split
import ray
from ray.cluster_utils import Cluster

_STORE_BYTES = 80 << 20


class Nodes:
    """A head with one processor, and nodes that can be added and killed."""

    def __init__(self) -> None:
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "include_dashboard": False,
                "object_store_memory": _STORE_BYTES,
            },
        )
        self.address = self._cluster.address
        ray.init(address=self.address, log_to_driver=False, logging_level=logging.ERROR)
        self.others: list[Any] = []
        self.head: str = ray.get_runtime_context().get_node_id()

    def add(self, num_cpus: int = 1, num_gpus: int = 0) -> Any:
        """`node.node_id` is how Ray calls it."""
        node = self._cluster.add_node(num_cpus=num_cpus, num_gpus=num_gpus, object_store_memory=_STORE_BYTES)
        self.others.append(node)
        return node

    def kill(self, node: Any) -> None:
        """Its raylet and all that it started, at once."""
        self.others.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def stop(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@contextmanager
def nodes() -> Iterator[Nodes]:
    cluster = Nodes()
    try:
        yield cluster
    finally:
        cluster.stop()


def wait_for_processors(count: int) -> None:
    """Until so many are free: what ended before leaves its place only after a while."""
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU", 0) < count:
        assert time.monotonic() < deadline, f"never {count} free processors"
        time.sleep(0.05)


def gone(process: int) -> bool:
    """Whether a process ends within a few seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError):
            os.waitpid(process, os.WNOHANG)
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False
