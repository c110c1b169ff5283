"""Every challenge of an aggregate depends on every item before it: docs/protocol.md, eqs. (14) to (16)."""

from __future__ import annotations

from typing import Any

import pytest

from pvcnn.aggregate.challenges import AggregateTranscript


def draw(inputs: dict[str, Any]) -> dict[str, int]:
    """All challenges of a transcript over these inputs, two rounds."""
    transcript = AggregateTranscript(
        inputs["reference string"],
        list(zip(inputs["verification keys"], inputs["sizes"], strict=True)),
        inputs["statements"],
        inputs["D_aux"],
    )
    drawn = {"r": transcript.scaling_challenge(inputs["commitments"])}
    drawn["y"] = transcript.combining_challenge(inputs["Z_AB"], inputs["Z_C"])
    for j in range(2):
        drawn[f"x_{j}"] = transcript.round_challenge(inputs[f"left {j}"], inputs[f"right {j}"])
    drawn["z"] = transcript.opening_challenge(inputs["final"])
    return drawn


ORDER = ["r", "y", "x_0", "x_1", "z"]
INPUTS: dict[str, tuple[Any, str]] = {
    "reference string": (b"s" * 32, "r"),
    "verification keys": ([b"k" * 32, b"l" * 32], "r"),
    "sizes": ([1, 2], "r"),
    "statements": ([b"one", b"two", b"three"], "r"),
    "D_aux": ([b"aux 1", b"aux 2", b"aux 3"], "r"),
    "commitments": (b"c" * 40, "r"),
    "Z_AB": (b"product", "y"),
    "Z_C": (b"totals", "y"),
    "left 0": (b"left 0", "x_0"),
    "right 0": (b"right 0", "x_0"),
    "left 1": (b"left 1", "x_1"),
    "right 1": (b"right 1", "x_1"),
    "final": (b"final", "z"),
}


def flips(value: Any) -> list[Any]:
    if isinstance(value, int):
        return [value ^ 1, value + 256]
    if isinstance(value, bytes):
        return [bytes([value[0] ^ 1]) + value[1:], value[:-1] + bytes([value[-1] ^ 128])]
    flipped = [[*value[:i], item, *value[i + 1 :]] for i in range(len(value)) for item in flips(value[i])]
    return [*flipped, value[::-1]]


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_challenges_depend_on_everything_before_them(name: str) -> None:
    inputs = {key: value for key, (value, _) in INPUTS.items()}
    honest = draw(inputs)
    first = ORDER.index(INPUTS[name][1])
    for flipped in flips(inputs[name]):
        changed = draw({**inputs, name: flipped})
        for challenge in ORDER[:first]:
            assert changed[challenge] == honest[challenge]
        for challenge in ORDER[first:]:
            assert changed[challenge] != honest[challenge]


def test_challenges_depend_on_the_number_of_proofs() -> None:
    inputs = {key: value for key, (value, _) in INPUTS.items()}
    longer = {
        **inputs,
        "sizes": [1, 3],
        "statements": [*inputs["statements"], b"three"],
        "D_aux": [*inputs["D_aux"], b"aux 3"],
    }
    assert not set(draw(inputs).values()) & set(draw(longer).values())


def test_challenges_depend_on_the_bounds_of_groups() -> None:
    """The same statements, all under keys that are named, but another one of them under the first key."""
    inputs = {key: value for key, (value, _) in INPUTS.items()}
    assert not set(draw(inputs).values()) & set(draw({**inputs, "sizes": [2, 1]}).values())
    merged = {**inputs, "verification keys": [b"k" * 32], "sizes": [3]}
    assert not set(draw(inputs).values()) & set(draw(merged).values())
