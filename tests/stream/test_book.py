"""Every frame is settled once, and the list for manual review is right after every line."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest

from pvcnn.stream.book import REVIEW_NAME, Book
from pvcnn.stream.events import FrameEvent, StreamEvent
from pvcnn.stream.window import Window


class Told:
    """A listener that keeps frames' events."""

    def __init__(self) -> None:
        self.frames: list[FrameEvent] = []

    def __call__(self, event: StreamEvent) -> None:
        assert isinstance(event, FrameEvent)
        self.frames.append(event)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def window() -> Window:
    return Window(8)


@pytest.fixture
def book(tmp_path: Path, window: Window, told: Told) -> Book:
    return Book(tmp_path, window, told)


def review(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / REVIEW_NAME).read_text().splitlines()]


def test_each_frame_is_settled_once_whoever_says_so_again(
    book: Book, window: Window, told: Told, tmp_path: Path
) -> None:
    window.enter()
    window.enter()
    first, second = book.enter("a.png"), book.enter("b.png")
    book.decide(first, 1, "proof", "statement")
    book.decide(first, 0, "proof", "statement")
    book.flag(first, "too late")
    book.flag(second, "refused: no")
    book.flag(second, "refused: again")
    book.flag_the_rest("nobody")
    assert [(each.number, each.proved, each.reason) for each in told.frames] == [
        (0, True, ""),
        (1, False, "refused: no"),
    ]
    assert [entry["name"] for entry in review(tmp_path)] == ["b.png"]
    assert (book.frames, book.proved, book.flagged, window.in_flight) == (2, 1, 1, 0)


def test_what_is_left_at_the_end_is_flagged(book: Book, window: Window, tmp_path: Path) -> None:
    for name in "abc":
        window.enter()
        book.enter(name)
    book.flag_the_rest("the stream broke off")
    assert [entry["number"] for entry in review(tmp_path)] == [0, 1, 2]
    assert book.frames == book.flagged == 3


def test_a_dropped_frame_has_no_place_to_give_back(book: Book, window: Window, tmp_path: Path) -> None:
    book.drop("camera-0#4", "dropped: the window was full")
    assert window.in_flight == 0
    assert review(tmp_path)[0]["reason"] == "dropped: the window was full"
    assert dict(book.reasons) == {"dropped": 1}


def test_a_retracted_decision_counts_as_flagged(book: Book, window: Window, told: Told) -> None:
    window.enter()
    frame = book.enter("a")
    book.decide(frame, 0, "proof", "statement")
    book.retract(frame, "segment not verified: bad")
    book.retract(frame, "segment not verified: again")
    assert (book.frames, book.proved, book.flagged) == (1, 0, 1)
    assert [each.proved for each in told.frames] == [True, False]


def test_names_cannot_make_lines_or_move_a_cursor(book: Book, tmp_path: Path) -> None:
    book.drop('a\n{"number": 1}\x1b[2J\udcff.png', "unreadable: x")
    (entry,) = review(tmp_path)
    assert str(entry["name"]).isprintable()
    assert (tmp_path / REVIEW_NAME).read_bytes().count(b"\n") == 1


def test_the_list_is_its_owners_and_is_never_begun_twice(book: Book, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / REVIEW_NAME).stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        Book(tmp_path, Window(1), lambda event: None)


def test_threads_lose_no_frame(tmp_path: Path, told: Told) -> None:
    window = Window(400)
    book = Book(tmp_path, window, told)

    def work() -> None:
        for number in range(100):
            window.enter()
            frame = book.enter("x")
            (book.decide(frame, 0, "", "") if number % 2 else book.flag(frame, "bad"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.number for each in told.frames) == list(range(400))
    assert (book.proved, book.flagged, window.in_flight) == (200, 200, 0)


class TestWindow:
    def test_no_more_enter_than_there_are_places(self) -> None:
        window = Window(2)
        assert window.enter()
        assert window.enter()
        assert not window.enter()
        assert not window.enter(0.01)
        window.leave()
        assert window.enter()
        assert window.peak == 2

    def test_whoever_waits_gets_the_place_that_is_given_back(self) -> None:
        window = Window(1)
        window.enter()
        threading.Timer(0.05, window.leave).start()
        assert window.enter(10)
