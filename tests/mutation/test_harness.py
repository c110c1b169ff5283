"""What the harness is for: it notices whatever a decoder may not do, and every mutant can be made again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.mutation import false_kinds, watch
from tests.mutation.report import BEGIN, END, Report, write_into
from tests.mutation.targets import mutated
from tests.mutation.worker import Job, Result

_REGISTRY = "tests.mutation.false_kinds"


def result_of(kind: str, folder: Path, count: int = 1) -> Result:
    jobs = [(Job(kind, 1, 0, count), false_kinds.KINDS[kind].seconds)]
    return Report.of(watch.run_all(jobs, folder, folder / "failed", registry=_REGISTRY), 1, 0.0).total


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("accepts", "Defect: accepted"),
        ("undocumented", "KeyError: 'undocumented'"),
        ("ends the process", "the process died: exit code 3"),
        ("dies", "the process died: signal 6"),
        ("is busy", "still running after"),
        ("waits", "still running after"),
        ("slow", "took 0."),
        ("large", "MB more memory"),
    ],
)
def test_what_no_decoder_may_do(
    kind: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "GIVE_UP_AFTER", 1.0)
    if kind == "waits":
        monkeypatch.setattr(watch, "GIVE_UP_WAITING", 2.0)
    result = result_of(kind, tmp_path)
    (failure,) = result.failures
    assert words in failure.what
    assert f"--kind {kind!r} --seed 1 --first 0 --number 1" in str(failure)
    assert bool(failure.kept) == ("the process died" not in words and "still running" not in words)


def test_after_a_death_the_rest_is_judged(tmp_path: Path) -> None:
    """All five mutants, each in a process of its own; then it is given up."""
    result = result_of("dies", tmp_path, 8)
    assert [failure.number for failure in result.failures] == [0, 1, 2, 3, 4]


def test_a_second_encoding_is_noticed(tmp_path: Path) -> None:
    failures = result_of("second encoding", tmp_path, 300).failures
    assert failures
    assert all("a second encoding" in failure.what for failure in failures)


def test_an_honest_decoder(tmp_path: Path) -> None:
    result = result_of("honest", tmp_path, 100)
    assert (result.mutants, result.fates["decoder"], result.failures) == (100, 100, [])
    assert result.memory < 10 << 20


def test_mutants_follow_from_the_seed() -> None:
    data = false_kinds._DATA
    made = [mutated(random.Random(f"1/{i}"), "map", data) for i in range(200)]
    assert made == [mutated(random.Random(f"1/{i}"), "map", data) for i in range(200)]
    assert made != [mutated(random.Random(f"2/{i}"), "map", data) for i in range(200)]
    assert all(mutant != data for _, mutant in made)


def test_the_table_in_a_document(tmp_path: Path) -> None:
    path = tmp_path / "document.md"
    report = Report.of([Result("a kind", 3, slowest=0.5, memory=2_000_000), Result("a kind", 4)], 7, 9.0)
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_into(path, report)
    text = path.read_text()
    assert "| a kind | 7 | 0 | 0 | 0 | 0 | 500.0 | 2.0 |" in text
    assert "old" not in text
    assert (text.startswith("before\n"), text.endswith("\nafter\n")) == (True, True)
    path.write_text("nothing")
    with pytest.raises(ValueError, match="no place"):
        write_into(path, report)
