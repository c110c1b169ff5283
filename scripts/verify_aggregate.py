#!/usr/bin/env python3
"""Verifies a campaign's public folder: a second implementation, with py_ecc and the standard library alone.

    python scripts/verify_aggregate.py DIR        DIR or DIR/public; exit 0 valid, 1 invalid, 2 malformed

DIR may be a joint folder of several campaigns too. It shares no code with pvcnn and takes few of its
shortcuts. This file follows a campaign from the manifest to the statements, joint_folder.py puts several
together, aggregate_equations.py checks the aggregate, and primitives.py reads artefacts. check_vectors.py
runs the latter two on test vectors.
"""

from __future__ import annotations

import json
import re
import sys
from array import array
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # wherever this file is run from
from aggregate_equations import Group, read_aggregate, read_key, read_statement, read_string, verify_aggregate
from joint_folder import JointFolder
from primitives import (
    Fields,
    byte_strings,
    decode,
    decode_signed,
    demand,
    digest,
    progress,
    read_value,
    well_formed,
)

DIRECTORIES = "answers|statements|refusals|labels"
NAMES = "manifest|program|verification_key|aggregation_verifier_key|cluster|encryption_plan|registry"
FILES = rf"(aggregate|label_key|{NAMES}|({DIRECTORIES})/[0-9]{{6}})\.cbor|weights\.safetensors"


class Campaign:
    """A public folder. Every byte in it is covered by a signature or digest that leads to the manifest, or by
    the aggregate; a file that nothing covers does not belong there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.found = folder, set()
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            file = re.fullmatch(FILES, name) and path.is_file()
            directory = re.fullmatch(DIRECTORIES, name) and path.is_dir()
            well_formed(bool(file or directory) and not path.is_symlink(), f"{name!a} does not belong there")
            self.found.add(name)
        manifest = self.read("manifest.cbor")
        self.owner, self.manifest = decode_signed(manifest, "pvcnn-manifest")
        self.manifest_digest, self.party = sha256(manifest).digest(), self.manifest["setup_party"]
        well_formed(self.party.isprintable() and self.party not in ("", "cluster"), "the setup party's name")
        self.frames, self.labelled = self.manifest["frames"], bool(self.manifest["label_key_digest"])

    def read(self, name: str, digest_name: str = "") -> bytes:
        """A file, with the digest that the manifest gives as `digest_name`."""
        path = self.folder / name
        well_formed(name in self.found and path.stat().st_size <= 64 << 20, f"{name}: missing or too large")
        data = path.read_bytes()
        same = not digest_name or sha256(data).digest() == self.manifest[digest_name]
        demand(same, f"{name} is not the manifest's")
        return data

    def read_verification_key(self) -> Fields:
        key = read_key(self.read("verification_key.cbor", "verification_key_digest"))
        program = self.read("program.cbor", "program_digest")
        demand(key["labelled"] == self.labelled, "a key that takes labels, or does not, against the manifest")
        demand(key["program_digest"] == digest("pvcnn/program", program), "a key for another program")
        demand(key["weights_commitment"] == self.manifest["weights_commitment"], "a key for other weights")
        self.kind = read_value(program, 0)[0]["nodes"][-1]["kind"]
        logits, rest = divmod(key["outputs"], 1 if self.labelled else self.frames)
        self.two = self.kind == "sign" or (self.kind == "logits" and logits == 1)  # classes of a single logit
        fits = key["frames"] == self.frames > 0 == rest and (logits == 1 or self.kind == "logits")
        demand(fits and (self.kind == "correct") == self.labelled, "a key for other frames or outputs")
        return key

    def published_digest(self, key: Fields) -> bytes:
        """H(program digest, all published weights as 64-bit integers, in the order of the file's header)."""
        data = self.read("weights.safetensors", "weights_digest")
        start = 8 + int.from_bytes(data[:8], "little")
        tensors, numbers = json.loads(data[8:start]), array("q")
        tensors.pop("__metadata__")
        codes = {"I8": "b", "I16": "h", "I32": "i", "I64": "q"}
        for each in tensors.values():
            first, last = (start + offset for offset in each["data_offsets"])
            numbers.extend(array(codes[each["dtype"]], data[first:last]).tolist())
        return digest("pvcnn/published-weights", key["program_digest"], numbers.tobytes())

    def read_registry(self) -> list[tuple[bytes, Fields]]:
        """Every registration with its tester's key, in order."""
        data = self.read("registry.cbor")
        self.registry_digest = sha256(data).digest()
        signer, registry = decode_signed(data, "pvcnn-registry")
        demand(signer == self.owner, "the registry is not signed by the owner")
        items = registry["registrations"]
        well_formed(len(items) <= 1 << 14 and {type(item) for item in items} <= {bytes}, "registrations")
        registrations = [decode_signed(item, "pvcnn-registration") for item in items]
        uploads = [registration["upload_digest"] for _, registration in registrations]
        demand(uploads == sorted(set(uploads)), "an upload is registered twice or out of order")
        named = {registry["manifest_digest"], *(fields["manifest_digest"] for _, fields in registrations)}
        demand(named == {self.manifest_digest}, "a registry or registration of another campaign")
        lengths = {len(fields["label_commitment"]) for _, fields in registrations}
        demand(lengths <= {48 if self.labelled else 32}, "a registration without the commitment demanded")
        indices = {int(Path(name).stem) for name in self.found if "/" in name}
        demand(indices <= set(range(len(items))), "a file is of a submission that is not registered")
        return registrations

    def read_answer(self, index: int) -> Fields:
        signer, answer = decode_signed(self.read(f"answers/{index:06d}.cbor"), "pvcnn-answer")
        found = (signer, answer["manifest_digest"], answer["registry_digest"], answer["index"])
        expected = (self.owner, self.manifest_digest, self.registry_digest, index)
        demand(found == expected, f"answer {index} is not the owner's or for another submission")
        lengths, reason = {len(answer["answer_digest"]), len(answer["features_digest"])}, answer["reason"]
        well_formed(lengths == {0 if reason else 32}, f"answer {index} is neither given nor refused")
        well_formed(len(reason) <= 200 and reason.isprintable(), f"answer {index} has no printable reason")
        return answer

    def read_statement(self, index: int, context: bytes, registration: Fields) -> Fields:
        statement = read_statement(self.read(f"statements/{index:06d}.cbor"))
        limit = {"sign": 2, "argmax": 1 << 20, "correct": self.frames + 1}.get(self.kind)
        good = all(limit is None or 0 <= n < limit for n in statement["outputs"])
        demand(good, f"statement {index} holds what is no {self.kind}")
        demand(statement["context"] == context, f"statement {index} is for another submission")
        same = statement.get("labels_commitment", b"") == registration["label_commitment"] * self.labelled
        demand(same, f"statement {index} is about other labels than were committed to")
        return statement

    def say(self, outputs: list[int]) -> str:
        """What a statement says, in words."""
        if self.kind in ("logits", "correct"):
            return f"logits {outputs}" if self.kind == "logits" else f"{outputs[0]} of {self.frames} correct"
        return self.names(outputs)

    def names(self, classes: list[int]) -> str:
        known = dict(enumerate(self.manifest["class_names"] or ["real", "fake"] * self.two))
        return ", ".join(ascii(known.get(number, number)).strip("'") for number in classes)

    def read_label(self, index: int, tester: bytes, registration: Fields) -> str:
        opening = decode(self.read(f"labels/{index:06d}.cbor"), "pvcnn-label-opening")
        limit = 2 if self.two else 1 << 20
        labels = [n.to_bytes(4, "little") for n in opening["labels"] if type(n) is int and 0 <= n < limit]
        demand(len(labels) == len(opening["labels"]) == self.frames, f"labels {index} do not fit")
        committed = digest("pvcnn/label-commitment", opening["salt"], tester, b"".join(labels))
        demand(committed == registration["label_commitment"], f"labels {index} are not the committed ones")
        return self.names(opening["labels"])

    def verify(self) -> None:
        group = self.examine()
        aggregate = read_aggregate(self.read("aggregate.cbor"))
        verify_aggregate(aggregate, self.read_string(), [group])
        print(f"{self.summary}\nVALID")

    def read_string(self) -> Fields:
        return read_string(self.read("aggregation_verifier_key.cbor", "aggregation_verifier_key_digest"))

    def examine(self) -> Group:
        """Checks all but the proofs; returns what they must prove, and leaves `summary` to be said then."""
        progress("registry and keys")
        cluster, card = decode_signed(self.read("cluster.cbor", "cluster_card_digest"), "pvcnn-cluster-card")
        plan_digest = sha256(self.read("encryption_plan.cbor", "encryption_plan_digest")).digest()
        demand(card["encryption_plan_digest"] == plan_digest, "the cluster's keys are for another plan")
        registrations, key = self.read_registry(), self.read_verification_key()
        for name in ("label_key.cbor", "weights.safetensors"):
            named = self.manifest[f"{name.partition('.')[0]}_digest"]
            demand(bool(named) == (name in self.found), f"{name} is there, or is not, against the manifest")
        if self.labelled:  # what testers committed with
            points = decode(self.read("label_key.cbor", "label_key_digest"), "pvcnn-label-key")
            named = digest(
                "pvcnn/label-points", points["blinding_point"], *byte_strings(points["points"], 48)
            )
            demand(named == key.get("labels_digest"), "the label key is not that of this circuit")
        if self.manifest["weights_digest"] or key["weights_digest"]:
            demand(self.published_digest(key) == key["weights_digest"], "the key is for other weights")
        statements, failures = list[Fields](), list[str]()
        for index, (tester, registration) in enumerate(registrations):
            answer, file = self.read_answer(index), f"{index:06d}.cbor"
            number, frames = (n.to_bytes(8, "little") for n in (index, self.frames))
            campaign = (self.manifest["campaign"], self.manifest_digest, self.registry_digest)
            blobs = (registration["upload_digest"], answer["answer_digest"], answer["features_digest"])
            context = digest("pvcnn/context", *campaign, number, tester, *blobs, frames)  # eq. (20)
            present = {name.partition("/")[0] for name in self.found if name.endswith("/" + file)}
            proved, refused = "statements" in present, "refusals" in present
            demand(proved + refused + bool(answer["reason"]) <= 1, f"submission {index} has two outcomes")
            if refused:
                signer, refusal = decode_signed(self.read(f"refusals/{file}"), "pvcnn-cluster-refusal")
                demand((signer, refusal["context"]) == (cluster, context), f"refusal {index} is for another")
            if proved:
                statements.append(self.read_statement(index, context, registration))
                outcome = self.say(statements[-1]["outputs"])
            else:
                failures.append("refused" if refused or answer["reason"] else "missing")
                outcome = f"{failures[-1]} {answer['reason']}"
            if "labels" in present:
                outcome += f" (label: {self.read_label(index, tester, registration)})"
            print(f"#{index} tester {sha256(tester).hexdigest()[:16]}: {outcome}")
        demand("missing" not in failures and bool(statements), "a submission has no outcome, or none a proof")
        self.uploads = {registration["upload_digest"] for _, registration in registrations}
        counted = ""
        if self.labelled:
            count, frames = sum(each["outputs"][0] for each in statements), self.frames * len(registrations)
            counted = (
                f"{count} of {frames} correct by labels committed to before, failed ones counted as wrong.\n"
            )
        what = {"logits": "logits are the outputs", "correct": "count is the output"}.get(self.kind)
        weights = "published" if key["weights_digest"] else "committed"
        self.summary = (
            f"{counted}{len(registrations)} submissions registered, {len(statements)} proved: for each of "
            f"these, the {what or 'decisions are the outputs'} of the {weights} public part on the "
            "committed features.\n"
            f"{len(failures)} refused: these count as failed. Registry {self.registry_digest.hex()}.\n"
            f"Key matches program: trusted to {self.party}. Whoever ran the setup can forge everything.\n"
            "Not proved: that the features are the honest decryption of the honest private part, who ran "
            "the setup, detection quality, that everyone was let into the registry."
        )
        return Group(key, statements)


if __name__ == "__main__":
    demand(len(sys.argv) == 2, "usage: verify_aggregate.py DIR", 2)
    given = Path(sys.argv[1])
    if JointFolder.is_at(given):
        joint = JointFolder(given)
        joint.verify([Campaign(folder) for folder in joint.public_folders()])
    else:
        Campaign(given / "public" if (given / "public").is_dir() else given).verify()
