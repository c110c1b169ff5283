#!/usr/bin/env python3
"""Verifies a campaign's public folder: a second implementation, with py_ecc and the standard library alone.

    python scripts/verify_aggregate.py DIR        DIR or DIR/public; exit 0 valid, 1 invalid, 2 malformed

DIR may be a joint folder of several campaigns too. It shares no code with pvcnn and takes few of its
shortcuts. This file follows a campaign from the manifest to the statements, joint_folder.py puts several
together, aggregate_equations.py checks the aggregate, ceremony_chain.py who made the keys, cut_claims.py what
the owner says of its cut, and primitives.py reads artefacts. check_vectors.py runs the aggregate's part on
test vectors.
"""

from __future__ import annotations

import json
import math
import re
import struct
import sys
from array import array
from hashlib import sha256
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))  # wherever this file is run from
from aggregate_equations import (
    Group,
    decode_point,
    read_aggregate,
    read_key,
    read_statement,
    read_string,
    verify_aggregate,
)
from ceremony_chain import check_record
from cut_claims import describe_cut
from joint_folder import JointFolder
from primitives import (
    Fields,
    byte_strings,
    decode,
    decode_signed,
    demand,
    digest,
    number_of_logits,
    progress,
    read_value,
    well_formed,
)

DIRECTORIES = "answers|statements|refusals|labels"
OPTIONAL = ("label_key.cbor", "weights.safetensors", "ceremony.cbor", "leak.cbor")
NAMES = "manifest|program|verification_key|aggregation_verifier_key|cluster|encryption_plan|registry"
FILES = rf"(aggregate|label_key|ceremony|leak|{NAMES}|({DIRECTORIES})/[0-9]{{6}})\.cbor|weights\.safetensors"


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
        named = bool(self.party) != bool(self.manifest["ceremony_digest"])
        named = named and len(self.party) <= 64 and self.party.isprintable() and self.party != "cluster"
        well_formed(named, "the setup party's name")
        self.frames, self.labelled = self.manifest["frames"], bool(self.manifest["label_key_digest"])
        well_formed(0 < self.frames < 1 << 16, "a number of frames")

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
        try:
            body = read_value(program, 0)[0]
            self.kind, self.logits = body["nodes"][-1]["kind"], number_of_logits(body)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            well_formed(False, "a program whose last layer's inputs cannot be counted")
        outputs = {"logits": self.frames * self.logits, "correct": 1}.get(self.kind, self.frames)
        fits = key["frames"] == self.frames and key["outputs"] == outputs
        demand(fits and (self.kind == "correct") == self.labelled, "a key for other frames or outputs")
        self.classes = max(2, self.logits)
        self.check_class_names()
        return key

    def check_class_names(self) -> None:
        """Names that stand beside decisions, and the scale by which logits are read."""
        names, scale = self.manifest["class_names"], self.manifest["logit_scale"]
        well_formed(
            all(type(name) is str and 0 < len(name) <= 64 for name in names), "a class without a name"
        )
        readable = all(name.isprintable() and not name.isdecimal() for name in names)
        well_formed(readable and len(set(names)) == len(names), "names of classes that say nothing")
        demand(len(names) in (0, self.classes), "the manifest names other classes than there are")
        well_formed(not scale or 0 < struct.unpack(">d", scale)[0] < math.inf, "a scale of logits")
        demand(not scale or self.kind == "logits", "the manifest scales logits that are not revealed")

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
        limit = {"sign": 2, "argmax": self.classes, "correct": self.frames + 1}.get(self.kind)
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
        known = dict(enumerate(self.manifest["class_names"] or ["real", "fake"] * (self.logits == 1)))
        return ", ".join(ascii(known.get(number, number)).strip("'") for number in classes)

    def read_label(self, index: int, tester: bytes, registration: Fields) -> str:
        opening = decode(self.read(f"labels/{index:06d}.cbor"), "pvcnn-label-opening")
        labels = [
            n.to_bytes(4, "little") for n in opening["labels"] if type(n) is int and 0 <= n < self.classes
        ]
        demand(len(labels) == len(opening["labels"]) == self.frames, f"labels {index} do not fit")
        committed = digest("pvcnn/label-commitment", opening["salt"], tester, b"".join(labels))
        demand(committed == registration["label_commitment"], f"labels {index} are not the committed ones")
        return self.names(opening["labels"])

    def read_setup(self, key: Fields, string: Fields) -> list[str]:
        """Who made the keys, and what else one has to believe that the key is the program's."""
        what = "Key matches program" + " and published weights" * bool(key["weights_digest"])
        if self.party:
            return [
                f"setup: single party {self.party}: do not rely on it against {self.party}",
                f"{what}: trusted to {self.party}. Whoever ran the setup can forge everything, and who that "
                "was is not proved.",
            ]
        record = self.read("ceremony.cbor", "ceremony_digest")
        return [
            check_record(record, self.manifest, self.read("verification_key.cbor"), key, string),
            f"{what}: not checked here, where the record shows whose secrets are in the key. The ceremony's "
            "whole transcript shows it: `pvcnn ceremony verify FOLDER` must print the same digest.",
        ]

    def verify(self) -> None:
        group = self.examine()
        aggregate = read_aggregate(self.read("aggregate.cbor"))
        verify_aggregate(aggregate, self.string, [group])
        print(f"{self.summary}\nVALID")

    def examine(self) -> Group:
        """Checks all but the proofs, and returns what they must prove. Leaves `summary` to be said then, and
        for joint folders `string`, `setup` and `uploads`."""
        progress("registry and keys")
        cluster, card = decode_signed(self.read("cluster.cbor", "cluster_card_digest"), "pvcnn-cluster-card")
        plan = self.read("encryption_plan.cbor", "encryption_plan_digest")
        demand(card["encryption_plan_digest"] == sha256(plan).digest(), "cluster's keys for another plan")
        registrations, key = self.read_registry(), self.read_verification_key()
        for name in OPTIONAL:
            named = self.manifest[f"{name.partition('.')[0]}_digest"]
            demand(bool(named) == (name in self.found), f"{name} is there, or is not, against the manifest")
        leak = self.read("leak.cbor", "leak_digest") if self.manifest["leak_digest"] else None
        cut = describe_cut(self.manifest["broken_rules"], plan, leak)
        if self.labelled:  # what testers committed with
            points = decode(self.read("label_key.cbor", "label_key_digest"), "pvcnn-label-key")
            named = digest(
                "pvcnn/label-points", points["blinding_point"], *byte_strings(points["points"], 48)
            )
            demand(named == key.get("labels_digest"), "the label key is not that of this circuit")
            fits = (len(points["points"]), points["classes"]) == (self.frames, self.classes)
            demand(fits, "the label key is for other frames or classes than the program's")
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
                if self.labelled:  # with a proof, its statement's D_lab is decoded
                    decode_point(registration["label_commitment"])
                failures.append("refused" if refused or answer["reason"] else "missing")
                outcome = f"{failures[-1]} {answer['reason']}"
            if "labels" in present:
                outcome += f" (label: {self.read_label(index, tester, registration)})"
            print(f"#{index} tester {sha256(tester).hexdigest()[:16]}: {outcome}")
        demand("missing" not in failures and bool(statements), "a submission has no outcome, or none a proof")
        self.uploads = {registration["upload_digest"] for _, registration in registrations}
        string = self.read("aggregation_verifier_key.cbor", "aggregation_verifier_key_digest")
        self.string, counted = read_string(string), ""
        self.setup, key_matches_program = self.read_setup(key, self.string)
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
            f"{self.setup}\n{key_matches_program}\n{cut}\n"
            "Not proved: that the features are the honest decryption of the honest private part, "
            "detection quality, that everyone was let into the registry."
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
