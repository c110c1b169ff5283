"""Measured tables in documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvcnn.bench.documents import END, mark, markdown_table, replace_measured

SCRIPT = "benchmarks/one.py"


def test_what_a_script_wrote_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    other = f"{mark('benchmarks/other.py')}\nkept\n{END}\n"
    document.write_text(f"# Page\n\n{mark(SCRIPT)}\nold\n{END}\n\n{other}")
    replace_measured(document, SCRIPT, "new\n\nlines")
    assert document.read_text() == f"# Page\n\n{mark(SCRIPT)}\nnew\n\nlines\n{END}\n\n{other}"


@pytest.mark.parametrize("text", ["", END, f"{END} {mark(SCRIPT)}", f"{mark(SCRIPT)}{mark(SCRIPT)}{END}"])
def test_a_document_without_its_marks_is_left_alone(tmp_path: Path, text: str) -> None:
    document = tmp_path / "page.md"
    document.write_text(text)
    with pytest.raises(ValueError, match=r"page\.md lacks the marks"):
        replace_measured(document, SCRIPT, "new")
    assert document.read_text() == text


def test_a_table_has_words_to_the_left_and_numbers_to_the_right() -> None:
    table = markdown_table(("name", "kind", "count"), [("a", "b", "1"), ("c", "d", "22")], left=2)
    lines = ("| name | kind | count |", "| --- | --- | ---: |", "| a | b | 1 |", "| c | d | 22 |")
    assert table == "\n".join(lines)
