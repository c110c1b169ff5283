"""The ceremony of one circuit, on powers whose own ceremony is closed, and the keys it ends in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Final

from pvcnn.aggregate.reference_string import AggregationKey
from pvcnn.ceremony.beacon import Beacon
from pvcnn.ceremony.ceremony import Ceremony, Verified
from pvcnn.ceremony.chain import Chain
from pvcnn.ceremony.circuit import CircuitBase, CircuitShape, CircuitState
from pvcnn.ceremony.circuit_check import check_circuit
from pvcnn.ceremony.circuit_keys import keys_of_state
from pvcnn.ceremony.circuit_start import start_circuit
from pvcnn.ceremony.description import CircuitDescription, Point
from pvcnn.ceremony.folder import CeremonyFolder
from pvcnn.ceremony.powers import PowersState
from pvcnn.ceremony.powers_ceremony import PowersCeremony
from pvcnn.ceremony.progress import Progress, Silence
from pvcnn.ceremony.record import MAX_BYTES as MAX_RECORD_BYTES
from pvcnn.ceremony.record import CeremonyRecord, check_fresh_beacon
from pvcnn.errors import DecodeError, VerificationError
from pvcnn.files import read_bounded, share, write_atomically
from pvcnn.program.program import MAX_BYTES as MAX_PROGRAM_BYTES
from pvcnn.program.program import Program
from pvcnn.program.published import load_published, save_published
from pvcnn.program.weights import Weights
from pvcnn.qmp.circuit import compile_program
from pvcnn.qmp.proving_key import ProvingKey
from pvcnn.qmp.system import ConstraintSystem

#: The names of the keys' files, which a campaign's folder uses too.
PROVING_KEY: Final = "proving_key.safetensors"
CIRCUIT_KEY: Final = "bare_verification_key.cbor"
AGGREGATION_KEY: Final = "aggregation_key.bin"
AGGREGATION_VERIFIER_KEY: Final = "aggregation_verifier_key.cbor"


class CircuitCeremony(Ceremony[CircuitState]):
    """See `Ceremony`. Its transcript includes that of the powers, which it verifies along with its own."""

    def __init__(self, folder: CeremonyFolder, description: CircuitDescription) -> None:
        super().__init__(folder, description)
        self.description = description
        self._powers: Verified[PowersState] | None = None

    @classmethod
    def create(
        cls,
        path: Path,
        powers: Path,
        program: Program,
        frames: int,
        published: Weights | None = None,
        progress: Progress | None = None,
    ) -> CircuitCeremony:
        """A new ceremony in `path`, for the circuit of `frames` runs of `program`.

        published: weights that are part of the circuit; None if they are committed.

        powers: the folder of their ceremony, which is verified and copied. Raises what that raises,
        VerificationError if it is not closed, and ValueError if it is too short for the circuit.
        """
        progress = progress or Silence()
        verified = _verified_powers(powers, progress)
        circuit = compile_program(program, frames, published=published)
        base, state = start_circuit(circuit.system, verified.state, progress)
        description = CircuitDescription(
            verified.chain.digest,
            circuit.digest,
            frames,
            circuit.weights_digest,
            state.shape.committed,
            base.digest(),
            state.digest(),
        )
        folder = CeremonyFolder.create(path)
        _copy_powers(powers, folder.powers, verified.chain)
        write_atomically(folder.program, program.to_bytes())
        if published is not None:
            save_published(folder.weights, published)
        base.save(folder.base)
        state.save(folder.state(description.state))
        folder.describe(description)
        return cls(folder, description)

    @classmethod
    def open(cls, path: Path) -> CircuitCeremony:
        """Raises CampaignError and DecodeError as `CeremonyFolder.description`."""
        folder = CeremonyFolder(path)
        description = folder.description()
        if not isinstance(description, CircuitDescription):
            raise DecodeError(f"{path}: this is a ceremony of powers, not a circuit's")
        return cls(folder, description)

    @cached_property
    def system(self) -> ConstraintSystem:
        """Compiled from the program beside it, and published weights if the ceremony names some.

        Raises VerificationError if they are others.
        """
        program = Program.from_bytes(read_bounded(self.folder.program, MAX_PROGRAM_BYTES))
        published = None
        if self.description.weights_digest:
            published = load_published(program, self.folder.weights)
        circuit = compile_program(program, self.description.frames, published=published)
        if circuit.digest != self.description.program_digest:
            raise VerificationError("program.cbor is not the program that the ceremony names")
        if circuit.weights_digest != self.description.weights_digest:
            raise VerificationError(f"{self.folder.weights.name} are not the weights that the ceremony names")
        system = circuit.system
        if CircuitShape.of(system).committed != self.description.committed:
            raise VerificationError("the ceremony names other segments than the circuit has")
        return system

    @cached_property
    def base(self) -> CircuitBase:
        return CircuitBase.load(self.folder.base, self.description.base)

    def powers(self, progress: Progress | None = None) -> Verified[PowersState]:
        """The powers' transcript, verified when it is first asked for.

        Raises VerificationError if it does not hold, is not closed, or is not the one that this ceremony
        began with.
        """
        if self._powers is None:
            verified = _verified_powers(self.folder.powers, progress or Silence())
            if verified.chain.digest != self.description.powers:
                raise VerificationError("powers/ are not those that the circuit's ceremony began with")
            self._powers = verified
        return self._powers

    def load_state(self, digest: bytes) -> CircuitState:
        return CircuitState.load(self.folder.state(digest), digest, CircuitShape.of(self.system))

    def check_state(self, state: CircuitState, points: Mapping[str, Point], progress: Progress) -> None:
        powers = self.powers(progress)
        check_circuit(self.system, powers.state, self.base, state, points, progress)

    def chain(self) -> Chain:
        chain = super().chain()
        check_fresh_beacon(self.powers().chain, chain)
        return chain

    def verify(self, progress: Progress | None = None) -> Verified[CircuitState]:
        self.powers(progress)
        return super().verify(progress)

    def close(self, beacon: Beacon, progress: Progress | None = None) -> Verified[CircuitState]:
        last = self.powers(progress).chain.contributions[-1].beacon
        if last is not None and last.value == beacon.value:
            raise VerificationError(
                "the powers' ceremony ended with this beacon: contributors knew it; wait for another one"
            )
        return super().close(beacon, progress)

    def keys(self, verified: Verified[CircuitState]) -> tuple[ProvingKey, AggregationKey]:
        """The campaign's keys that a verified transcript ends in; VerificationError if it is not closed."""
        if not verified.chain.is_closed:
            raise VerificationError("no beacon has closed the ceremony yet: it has no keys")
        powers = self.powers().state
        proving_key = keys_of_state(powers, self.base, verified.state, self.description)
        try:
            return proving_key, powers.aggregation_key()
        except ValueError as error:
            raise VerificationError(f"aggregation key: {error}") from error

    def record_of(self, verified: Verified[CircuitState]) -> CeremonyRecord:
        """The record of a verified transcript that is closed, as `finalize` writes it."""
        return self._record(verified, *self.keys(verified))

    def finalize(self, verified: Verified[CircuitState]) -> CeremonyRecord:
        """Writes the keys to DIR/keys and the record. Raises as `keys`."""
        proving_key, aggregation_key = self.keys(verified)
        record = self._record(verified, proving_key, aggregation_key)
        directory = self.folder.keys
        directory.mkdir(exist_ok=True)
        proving_key.save(directory / PROVING_KEY)
        write_atomically(directory / CIRCUIT_KEY, proving_key.circuit_key.to_bytes())
        write_atomically(directory / AGGREGATION_KEY, aggregation_key.to_bytes())
        write_atomically(directory / AGGREGATION_VERIFIER_KEY, aggregation_key.verifier.to_bytes())
        write_atomically(self.folder.record, record.to_bytes())
        return record

    def written_record(self) -> CeremonyRecord | None:
        """What `finalize` wrote, or None if it has not run. Raises DecodeError for a malformed one."""
        if not self.folder.record.exists():
            return None
        return CeremonyRecord.from_bytes(read_bounded(self.folder.record, MAX_RECORD_BYTES))

    def _record(
        self, verified: Verified[CircuitState], proving_key: ProvingKey, aggregation_key: AggregationKey
    ) -> CeremonyRecord:
        powers = PowersCeremony.open(self.folder.powers).description
        return CeremonyRecord(
            powers,
            self.powers().chain.contributions,
            self.description,
            verified.chain.contributions,
            _sha256(proving_key.circuit_key.to_bytes()),
            proving_key.digest(),
            _sha256(aggregation_key.to_bytes()),
            _sha256(aggregation_key.verifier.to_bytes()),
        )


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _verified_powers(path: Path, progress: Progress) -> Verified[PowersState]:
    verified = PowersCeremony.open(path).verify(progress)
    if not verified.chain.is_closed:
        raise VerificationError(f"{path}: no beacon has closed the ceremony of these powers yet")
    return verified


def _copy_powers(source: Path, target: Path, chain: Chain) -> None:
    """A copy of the powers' folder: what belongs to its transcript, large files by a second name."""
    given = CeremonyFolder(source)
    copy = CeremonyFolder.create(target)
    share(given.state(chain.state), copy.state(chain.state))
    for link in chain.contributions:
        copy.append(link)
    copy.describe(given.description())
