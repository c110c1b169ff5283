"""A campaign small enough to be played in seconds: 1x16x16 frames, 32 features, two linear layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pvcnn.algebra.points import random_scalar
from pvcnn.campaign.aggregator import aggregate_campaign
from pvcnn.campaign.cluster import ClusterRole, make_keys
from pvcnn.campaign.folder import CampaignFolder
from pvcnn.campaign.owner import OwnerRole
from pvcnn.campaign.setup_party import run_setup
from pvcnn.campaign.tester import TesterRole
from pvcnn.errors import SubmissionRefused
from pvcnn.leak.summary import LeakSummary
from pvcnn.program.layers import Argmax, Flatten, Linear, Requantise, Sign
from pvcnn.program.private import (
    PrivateAveragePool,
    PrivateConvolution,
    PrivatePart,
    Square,
    private_evaluate,
)
from pvcnn.program.program import Program
from pvcnn.program.public_part import PublicPart
from pvcnn.program.table import Table
from pvcnn.program.weights import Weights
from tests.campaign.figures import FIGURES
from tests.campaign.revealing import revealing

FRAME_SHAPE = (1, 16, 16)
FEATURES = (2, 4, 4)
PIXEL_BOUND = 2.0
FEATURE_STEP = 1 / 32
MAX_PROOFS = 8

Frame = NDArray[np.float64]


def private_part(seed: int) -> PrivatePart:
    generator = np.random.default_rng(seed)
    kernels = generator.uniform(-0.4, 0.4, (2, 1, 3, 3))
    layers = (
        PrivateConvolution("convolution", kernels, np.array([0.1, -0.1])),
        Square("square"),
        PrivateAveragePool.disjoint("pool", 4),
    )
    return PrivatePart(FRAME_SHAPE, PIXEL_BOUND, layers, FEATURE_STEP, FEATURES)


def public_part(seed: int) -> PublicPart:
    """Which decision a frame gets hangs on its features: the second layer's bias balances them."""
    generator = np.random.default_rng(seed)
    relu = Table(-512, np.clip(np.arange(-512, 512), 0, 127))
    program = Program.chain(
        FEATURES,
        -128,
        127,
        (
            Flatten("flatten"),
            Linear("first", 32, 8, weight_bits=6, bias_bits=12),
            Requantise("activation", 6, relu),
            Linear("second", 8, 1, weight_bits=6, bias_bits=14),
            Sign("decision"),
        ),
    )
    weight = {
        "first": generator.integers(-31, 32, (8, 32)),
        "second": generator.integers(-31, 32, (1, 8)),
    }
    bias = {"first": generator.integers(-200, 200, 8), "second": generator.integers(-200, 200, 1)}
    return PublicPart(program, Weights(program, weight, bias, random_scalar()))


def three_classes(seed: int, reveal: str = "decisions") -> PublicPart:
    """As `public_part`, with a logit for each of three classes."""
    several = public_part(seed)
    *layers, last, _ = several.program.layers
    assert isinstance(last, Linear)
    widened = Linear(last.name, last.in_features, 3, last.weight_bits, last.bias_bits)
    program = Program.chain(FEATURES, -128, 127, (*layers, widened, Argmax("class")))
    generator = np.random.default_rng(seed)
    weight = dict(several.weights.weight) | {"second": generator.integers(-31, 32, (3, 8))}
    bias = dict(several.weights.bias) | {"second": generator.integers(-200, 200, 3)}
    return revealing(PublicPart(program, Weights(program, weight, bias, random_scalar())), reveal)


def frames(count: int, seed: int) -> list[Frame]:
    """Frames of different brightness and contrast, within the pixel bound."""
    generator = np.random.default_rng(seed)
    noise = generator.uniform(-1, 1, (count, *FRAME_SHAPE))
    strength = np.linspace(0.2, 1.8, count).reshape(-1, 1, 1, 1)
    return list(noise * strength)


def surely_decided(seed: int) -> dict[int, list[Frame]]:
    """Frames by their decision, which features that are off by one do not change (model of seed 1)."""
    private, public = private_part(1), public_part(1)
    low, high = public.program.input_low, public.program.input_high
    generator = np.random.default_rng(seed)
    found: dict[int, list[Frame]] = {0: [], 1: []}
    for frame in frames(40, seed):
        exact = np.rint(private_evaluate(private, frame[None]) / FEATURE_STEP).astype(np.int64)
        shaken = exact + generator.integers(-1, 2, (20, *exact.shape[1:]))
        if low < exact.min() and exact.max() < high and len(set(np.ravel(public(shaken)))) == 1:
            found[int(np.ravel(public(exact))[0])].append(frame)
    return found


@dataclass(frozen=True)
class Played:
    """A campaign that was played through, with what its roles keep to themselves."""

    folder: CampaignFolder
    private: PrivatePart
    public: PublicPart
    frames: list[Frame]
    labels: list[int]
    testers: list[TesterRole]
    indices: list[int]
    """indices[i] is where submission i stands in the registry."""


def prepare(
    root: Path,
    seed: int = 1,
    max_proofs: int = MAX_PROOFS,
    batch: int = 1,
    public: PublicPart | None = None,
    private: PrivatePart | None = None,
    leak: LeakSummary | None = FIGURES,
    frames_in_slots: int | None = None,
) -> tuple[CampaignFolder, PrivatePart, PublicPart, str]:
    """`split`, `keygen` and `setup`; the last value is the cluster's fingerprint."""
    folder = CampaignFolder.create(root)
    private, public = private or private_part(seed), public or public_part(seed)
    owner = OwnerRole.create(folder)
    owner.publish_split(private, public, frames_in_slots=frames_in_slots)
    card = make_keys(folder)
    run_setup(folder, max_proofs, batch)
    owner.publish_manifest(leak=leak)
    return folder, private, public, card.fingerprint


def submit(
    folder: CampaignFolder,
    fingerprint: str,
    testers: int,
    each: int,
    seed: int,
    batch: int = 1,
    pictures: list[Frame] | None = None,
) -> tuple[list[TesterRole], list[Frame], list[int], list[bytes]]:
    """`encrypt`: testers with `each` submissions of `batch` frames; frames, labels and upload digests."""
    roles = [TesterRole.create(folder, str(i)) for i in range(testers)]
    pictures = pictures or frames(testers * each * batch, seed)
    labels = [i % 2 for i in range(len(pictures))]
    uploads = [
        roles[start // (each * batch)]
        .encrypt_batch(pictures[start : start + batch], labels[start : start + batch], fingerprint)
        .upload_digest
        for start in range(0, len(pictures), batch)
    ]
    return roles, pictures, labels, uploads


def play_to_answers(root: Path, testers: int, each: int, max_proofs: int = MAX_PROOFS) -> CampaignFolder:
    """All steps up to the owner's answers: nothing is proved."""
    folder, _, _, fingerprint = prepare(root, max_proofs=max_proofs)
    submit(folder, fingerprint, testers, each, 1)
    owner = OwnerRole.open(root)
    owner.close_registry()
    for index in range(testers * each):
        owner.infer(index)
    return folder


def prove_all(folder: CampaignFolder, count: int) -> list[int]:
    """`prove` for every submission that the owner answered; returns those that were refused."""
    cluster = ClusterRole.open(folder.root)
    refused = []
    for index in range(count):
        try:
            cluster.prove(index)
        except SubmissionRefused:
            refused.append(index)
    return refused


def play(
    root: Path,
    testers: int = 2,
    each: int = 2,
    seed: int = 1,
    batch: int = 1,
    pictures: list[Frame] | None = None,
    public: PublicPart | None = None,
    private: PrivatePart | None = None,
) -> Played:
    """All steps of a campaign up to the opening of labels."""
    folder, private, part, fingerprint = prepare(root, seed, batch=batch, public=public, private=private)
    roles, given, labels, uploads = submit(folder, fingerprint, testers, each, seed, batch, pictures)
    owner = OwnerRole.open(root)
    registry, turned_away = owner.close_registry()
    assert not turned_away
    for index in range(len(uploads)):
        owner.infer(index)
    assert not prove_all(folder, len(uploads))
    aggregate_campaign(folder)
    if part.program.label_classes is None:
        for role in roles:
            role.open_labels()
    order = [each.upload_digest for each in registry.registrations]
    return Played(folder, private, part, given, labels, roles, [order.index(upload) for upload in uploads])
