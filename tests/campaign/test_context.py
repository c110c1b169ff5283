"""Equation (20): every item changes the context."""

from __future__ import annotations

from typing import Any

from pvcnn.campaign.artefacts.context import submission_context
from tests.campaign.hostile import flipped

ITEMS: dict[str, Any] = {
    "campaign": b"a" * 32,
    "manifest_digest": b"b" * 32,
    "registry_digest": b"c" * 32,
    "index": 4,
    "tester_key": b"d" * 32,
    "upload_digest": b"e" * 32,
    "answer_digest": b"f" * 32,
    "features_digest": b"g" * 32,
    "frames": 1,
}


def test_every_item_changes_the_context() -> None:
    contexts = {submission_context(**ITEMS)}
    for name, value in ITEMS.items():
        other = value + 1 if isinstance(value, int) else flipped(value, 31)
        contexts.add(submission_context(**ITEMS | {name: other}))
    assert len(contexts) == len(ITEMS) + 1
    assert {len(context) for context in contexts} == {32}


def test_items_do_not_run_into_each_other() -> None:
    moved = ITEMS | {"campaign": b"a" * 31, "manifest_digest": b"a" + b"b" * 32}
    assert submission_context(**moved) != submission_context(**ITEMS)
