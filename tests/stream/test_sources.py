"""Folders, videos and cameras: each picture once, whole ones only, and no trust in what lies there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest

from pvcnn.errors import CampaignError
from pvcnn.stream import captures, opencv
from pvcnn.stream.captures import CameraSource, VideoSource
from pvcnn.stream.sources import Picture, Source, open_source
from pvcnn.stream.watched_folder import OLD_SECONDS, FolderSource
from tests.house.test_imports import run_without
from tests.stream.pictures import FakeCapture, encoded, fill, picture, write_video


def take_all(source: Source, seconds: float = 0.9) -> list[Picture]:
    """Until nothing came for so long."""
    taken = []
    while (found := source.take(seconds)) is not None:
        taken.append(found)
    return taken


def make_old(path: Path) -> None:
    then = time.time() - 10 * OLD_SECONDS
    os.utime(path, (then, then), follow_symlinks=False)


class TestFolder:
    def test_pictures_are_taken_once_in_order_of_time(self, tmp_path: Path) -> None:
        for age, name in ((30, "c.png"), (20, "a.png"), (10, "b.JPG")):
            (tmp_path / name).write_bytes(encoded(picture(age), Path(name).suffix.lower()))
            os.utime(tmp_path / name, (time.time() - age, time.time() - age))
        source = FolderSource(tmp_path)
        assert [found.name for found in take_all(source)] == ["c.png", "a.png", "b.JPG"]
        assert take_all(source, 0.3) == []
        fill(tmp_path, 1)
        assert [found.name for found in take_all(source)] == ["frame-000.png"]

    def test_a_file_is_taken_only_when_it_is_whole(self, tmp_path: Path) -> None:
        data = encoded(picture(1, 60, 60))
        source = FolderSource(tmp_path)
        with (tmp_path / "slow.png").open("wb") as handle:
            for start in range(0, len(data), len(data) // 4):
                handle.write(data[start : start + len(data) // 4])
                handle.flush()
                assert source.take(0.3) is None
        (found,) = take_all(source)
        assert found.pixels is not None
        assert np.array_equal(found.pixels, picture(1, 60, 60))

    def test_a_half_that_was_taken_comes_again_when_it_is_whole(self, tmp_path: Path) -> None:
        data, path = encoded(picture(2)), tmp_path / "paused.png"
        source = FolderSource(tmp_path)
        path.write_bytes(data[:-20])
        make_old(path)
        (half,) = take_all(source, 0.3)
        assert half.pixels is None
        assert "cut off" in half.problem
        path.write_bytes(data)
        (whole,) = take_all(source)
        assert whole.pixels is not None
        assert np.array_equal(whole.pixels, picture(2))

    def test_temporary_and_other_names_are_not_pictures(self, tmp_path: Path) -> None:
        for name in (".hidden.png", "frame.png.part", "frame.png~", "notes.txt", "frame.png.tmp", "png"):
            (tmp_path / name).write_bytes(encoded(picture(3)))
            make_old(tmp_path / name)
        (tmp_path / "folder.png").mkdir()
        assert take_all(FolderSource(tmp_path), 0.3) == []

    def test_links_and_pipes_are_flagged_and_never_opened(self, tmp_path: Path) -> None:
        target = tmp_path / "elsewhere"
        target.write_bytes(encoded(picture(4)))
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "link.png").symlink_to(target)
        (folder / "dangling.png").symlink_to(tmp_path / "nothing")
        os.mkfifo(folder / "pipe.png")
        for path in folder.iterdir():
            make_old(path)
        found = take_all(FolderSource(folder), 0.3)
        assert {each.name for each in found} == {"link.png", "dangling.png", "pipe.png"}
        assert all(each.pixels is None and "no file at all" in each.problem for each in found)

    def test_what_cannot_be_read_is_flagged(self, tmp_path: Path) -> None:
        for name, data in (("empty.png", b""), ("text.jpg", b"hello"), ("gif.png", b"GIF89a" + bytes(40))):
            (tmp_path / name).write_bytes(data)
            make_old(tmp_path / name)
        found = take_all(FolderSource(tmp_path), 0.3)
        assert len(found) == 3
        assert all(each.pixels is None and each.problem.startswith("unreadable: ") for each in found)

    def test_a_large_file_is_not_read(self, tmp_path: Path) -> None:
        with (tmp_path / "large.png").open("wb") as handle:
            handle.truncate(1 << 40)  # no disc has it: it is a hole
        make_old(tmp_path / "large.png")
        (found,) = take_all(FolderSource(tmp_path), 0.3)
        assert "more than" in found.problem

    def test_a_folder_that_goes_away_ends_the_stream(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        source = FolderSource(folder)
        assert source.take(0.1) is None
        assert not source.ended
        folder.rmdir()
        assert source.take(0.3) is None
        assert "is gone" in source.ended


class TestVideo:
    def test_every_frame_comes_once(self, tmp_path: Path) -> None:
        write_video(tmp_path / "v.avi", 7, side=32)
        source = VideoSource(tmp_path / "v.avi")
        found = take_all(source)
        assert [each.name for each in found] == [f"v.avi#{number}" for number in range(7)]
        levels = [float(each.pixels.mean()) for each in found if each.pixels is not None]
        assert levels == pytest.approx(range(0, 70, 10), abs=2)
        assert source.ended == "the video has ended"
        source.close()

    def test_a_frame_rate_spreads_frames_evenly(self, tmp_path: Path) -> None:
        write_video(tmp_path / "v.avi", 20, rate=10)
        found = take_all(VideoSource(tmp_path / "v.avi", 2.5))
        assert [each.name for each in found] == [f"v.avi#{number}" for number in (0, 4, 8, 12, 16)]
        assert len(take_all(VideoSource(tmp_path / "v.avi", 1000))) == 20

    def test_a_video_that_is_cut_off_says_what_is_missing(self, tmp_path: Path) -> None:
        write_video(tmp_path / "v.avi", 12, side=64, noise=True)
        data = (tmp_path / "v.avi").read_bytes()
        (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
        found = take_all(VideoSource(tmp_path / "cut.avi"))
        good = [each for each in found if each.pixels is not None]
        assert len(good) < 12
        assert found[-1].problem == f"unreadable: frames {len(good)} to 11, which the video states to have"

    def test_what_is_no_video_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "v.avi").write_bytes(b"no video")
        with pytest.raises(CampaignError, match="no video"):
            VideoSource(tmp_path / "v.avi")

    def test_a_video_of_enormous_frames_is_refused(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_video(tmp_path / "v.avi", 1, side=64)
        monkeypatch.setattr(captures, "MAX_PIXELS", 64 * 64 - 1)
        with pytest.raises(CampaignError, match="64x64"):
            VideoSource(tmp_path / "v.avi")


class TestCamera:
    def test_it_gives_what_the_device_gives_until_that_stops(self) -> None:
        device = FakeCapture(3)
        source = CameraSource(0, None, lambda index: device)
        found = take_all(source)
        assert [each.name for each in found] == ["camera-0#0", "camera-0#1", "camera-0#2"]
        assert all(each.pixels is not None and each.pixels.ndim == 2 for each in found)
        assert "no more" in source.ended
        source.close()
        assert device.released

    def test_a_frame_rate_skips_what_comes_between(self) -> None:
        device = FakeCapture(100)
        found = take_all(CameraSource(0, 10, lambda index: device, lambda: device.taken / 200), 1e9)
        assert len(found) == 5, "half a second of a camera of 200 frames a second"

    def test_a_device_that_is_not_there_is_refused(self) -> None:
        device = FakeCapture(0)
        device.release()
        with pytest.raises(CampaignError, match="no camera 7"):
            CameraSource(7, None, lambda index: device)

    @pytest.mark.parametrize(
        "pixels", [np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8)), np.zeros(0, np.uint8), None]
    )
    def test_frames_of_another_kind_are_flagged(
        self, pixels: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        device = FakeCapture(1)
        monkeypatch.setattr(device, "retrieve", lambda: (True, pixels))
        (found,) = take_all(CameraSource(0, None, lambda index: device))
        assert found.pixels is None
        assert found.problem.startswith("unreadable: ")


def test_sources_are_told_apart(tmp_path: Path) -> None:
    write_video(tmp_path / "v.avi", 1)
    assert isinstance(open_source(str(tmp_path)), FolderSource)
    assert isinstance(open_source(str(tmp_path / "v.avi")), VideoSource)


@pytest.mark.parametrize(
    "source", ["", "nothing-there", "http://127.0.0.1:9/v.mp4", "frames/%03d.png", "-1", "1.5", "²"]
)
def test_nothing_but_folders_files_and_numbers_is_opened(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "v").mkdir()
    with pytest.raises(CampaignError, match="neither a folder nor a video"):
        open_source(source or "absent")


def test_without_opencv_the_extra_is_named() -> None:
    code = "from pvcnn.stream.opencv import opencv\nopencv()"
    result = run_without(("cv2",), code)
    assert "DependencyMissing" in result.stderr
    assert "pvcnn[stream]" in result.stderr
    assert opencv.opencv()
