"""How the cluster's secrets reach a job's workers, and nothing else of the job.

The job starts a courier: an actor on a machine that workers run on, which draws a key in its own memory.
Whoever submitted the job seals the secrets to that key and sends them as a second, small job. A worker
draws a key of its own and the courier seals to it. So logs, metadata, packages and Ray's object store see
sealed blobs only, and the keys that open them are gone with the processes that drew them.

Whoever may run code on the Ray cluster, or answers for its head, can get the secrets: a courier cannot
tell one worker from another (docs/threat-model.md, section "The Ray cluster").
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from pvcnn.algebra.transcript import digest
from pvcnn.campaign.artefacts.mail import SealingKey, seal
from pvcnn.campaign.artefacts.submission import Proceedings
from pvcnn.campaign.roles.cluster_secrets import ClusterSecrets
from pvcnn.compute.job_events import JobEvent, KeysHeld, KeysWanted
from pvcnn.errors import CampaignError, PvcnnError, VerificationError

COURIER_NAME = "courier"
#: The only file that the delivery job takes along.
BLOB_NAME = "secrets.sealed"
#: For so long workers wait for secrets before they give up and free the machine.
PATIENCE_SECONDS = 600.0
_POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Place:
    """Digests that say which campaign secrets are for; blobs for another do not open."""

    manifest: bytes
    registry: bytes

    @classmethod
    def of(cls, proceedings: Proceedings) -> Place:
        return cls(proceedings.manifest.digest(), proceedings.registry.digest())

    @property
    def namespace(self) -> str:
        """Ray's namespace in which the job's courier goes by its name."""
        return f"pvcnn-{self.registry.hex()}"

    def info(self, recipient: bytes) -> bytes:
        """What secrets sealed to the X25519 key `recipient` are for."""
        return digest("pvcnn/mail/cluster-secrets", self.manifest, self.registry, recipient)


def seal_secrets(secrets: ClusterSecrets, place: Place, recipient: bytes) -> bytes:
    """Raises DecodeError if `recipient` is no X25519 key."""
    return seal(recipient, secrets.to_bytes(), place.info(recipient))


def open_secrets(blob: bytes, place: Place, key: SealingKey, signer: bytes) -> ClusterSecrets:
    """Raises SubmissionRefused or DecodeError for a blob that is not for `key` and `place`, and
    VerificationError unless they are the secrets of the cluster that signs with `signer`."""
    secrets = ClusterSecrets.from_bytes(key.open(blob, place.info(key.public)))
    if secrets.identity.signing.public != signer:
        raise VerificationError("these are the secrets of another cluster")
    return secrets


class Courier:
    """The body of the courier's actor. signer: the Ed25519 key on the cluster's card."""

    def __init__(self, place: Place, signer: bytes) -> None:
        self._place = place
        self._signer = signer
        self._key = SealingKey.generate()
        self._secrets: ClusterSecrets | None = None

    def public_key(self) -> bytes:
        return self._key.public

    def deliver(self, blob: bytes) -> str:
        """Takes the secrets; empty, or in public words why not."""
        if self._secrets is None:
            try:
                self._secrets = open_secrets(blob, self._place, self._key, self._signer)
            except PvcnnError as error:
                return str(error)
        return ""

    def holds(self) -> bool:
        return self._secrets is not None

    def secrets_for(self, recipient: bytes) -> bytes:
        """The secrets sealed to a worker's key; empty if they have not come yet."""
        return b"" if self._secrets is None else seal_secrets(self._secrets, self._place, recipient)


@dataclass(frozen=True)
class SecretsFromCourier:
    """A `SecretsSource`: asks the job's courier, with a key drawn in the worker's own process."""

    place: Place
    signer: bytes
    patience: float = PATIENCE_SECONDS

    def load(self) -> ClusterSecrets:
        """Raises CampaignError if no secrets have come for a long time."""
        key = SealingKey.generate()
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            blob = self._ask(key.public)
            if blob:
                return open_secrets(blob, self.place, key, self.signer)
            time.sleep(_POLL_SECONDS)
        raise CampaignError(f"the cluster's keys have not come for {self.patience:g} s: submit again")

    def _ask(self, recipient: bytes) -> bytes:
        """Empty if there is no courier at the moment, or it has nothing yet."""
        try:
            courier: Any = ray.get_actor(COURIER_NAME, self.place.namespace)
            blob: bytes = ray.get(courier.secrets_for.remote(recipient))
        except (ValueError, RayError):
            return b""
        return blob


class Reception:
    """Keeps a courier alive while it is entered: if one dies, the next asks for the secrets again.

    announce: hears KeysWanted and KeysHeld, in a thread of its own.
    """

    def __init__(self, place: Place, signer: bytes, announce: Callable[[JobEvent], None]) -> None:
        self._place = place
        self._signer = signer
        self._announce = announce
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reception", daemon=True)

    def __enter__(self) -> Reception:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            node = _machine_for_workers()
            if node is None:
                continue
            try:
                courier = self._hire(node)
            except (ValueError, RayError):  # the machine is gone, or the last courier's name not yet
                continue
            try:
                self._attend(courier)
            except RayError:
                continue
            finally:
                ray.kill(courier)

    def _hire(self, node: str) -> Any:
        place = NodeAffinitySchedulingStrategy(node, soft=False)
        options = {"name": COURIER_NAME, "namespace": self._place.namespace, "scheduling_strategy": place}
        return ray.remote(num_cpus=0)(Courier).options(**options).remote(self._place, self._signer)

    def _attend(self, courier: Any) -> None:
        """Returns when it is over; raises RayError when the courier is dead."""
        public_key = ray.get(courier.public_key.remote())
        self._announce(KeysWanted(public_key))
        held = False
        while not self._end.wait(_POLL_SECONDS):
            if ray.get(courier.holds.remote()) and not held:
                held = True
                self._announce(KeysHeld(public_key))


def deliver(place: Place, blob: bytes) -> None:
    """Hands sealed secrets to the job's courier, from another job on the open Ray session.

    Raises CampaignError if there is no courier or it does not take them.
    """
    try:
        courier: Any = ray.get_actor(COURIER_NAME, place.namespace)
        refusal: str = ray.get(courier.deliver.remote(blob))
    except (ValueError, RayError) as error:
        raise CampaignError(f"no job of this campaign waits for keys: {error}") from error
    if refusal:
        raise CampaignError(f"the keys were not taken: {refusal}")


def _machine_for_workers() -> str | None:
    """Ray's identifier of a living machine that has processors to give away, if there is one."""
    for node in ray.nodes():
        if node["Alive"] and node["Resources"].get("CPU", 0) > 0:
            identifier: str = node["NodeID"]
            return identifier
    return None
