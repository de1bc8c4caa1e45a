import os
import stat
from pathlib import Path
from typing import Any

import pytest

from secondlook.adapters import review_folder
from secondlook.adapters.review_folder import LEFTOVER_S, ReviewFolder
from secondlook.review_set import UNSORTED, Kept, is_label, is_stem, stem_of
from tests.secondlook.review_notes import crop, jpeg, note


@pytest.fixture
def folder(tmp_path: Path) -> ReviewFolder:
    return ReviewFolder(tmp_path / "review")


def add(folder: ReviewFolder, number: int = 1, label: str = "phone", **more: Any) -> Kept:
    return folder.add(label, stem_of(crop(number)), jpeg(number), note(number, **more))


def files(folder: ReviewFolder) -> list[str]:
    found = (path for path in folder.path.rglob("*") if path.is_file())
    return sorted(str(path.relative_to(folder.path)) for path in found)


def modes(path: Path) -> set[int]:
    return {stat.S_IMODE(each.stat().st_mode) for each in path.rglob("*") if each.is_file()}


def test_a_crop_lies_where_a_training_reads_it_with_its_note_beside_it(
    folder: ReviewFolder,
) -> None:
    added = add(folder)
    assert files(folder) == [
        "phone/yard-20261122t06__yard-1.1.jpg",
        "phone/yard-20261122t06__yard-1.1.json",
    ]
    assert folder.picture(added).read_bytes() == jpeg(1)
    [found] = folder.scan()
    assert (found.label, found.stem, found.note, found.size) == (
        "phone", added.stem, note(1), added.size
    )  # fmt: skip


def test_a_recording_is_one_hour_of_a_camera_by_the_tracks_first_frame() -> None:
    assert stem_of(crop(1)).partition("__")[0] == "yard-20261122t06"
    an_hour = 3600 * 10**9
    later = crop(1, track_started_ns=crop(1).track_started_ns + an_hour)
    assert stem_of(later).partition("__")[0] == "yard-20261122t07"
    awkward = crop(1, camera="back__yard_")
    assert stem_of(awkward).partition("__")[0] == "back_yard_-20261122t06"


def test_only_the_owner_may_look(folder: ReviewFolder) -> None:
    add(folder)
    folder.move(folder.scan()[0], UNSORTED, note(1, hint="?"))
    assert modes(folder.path) == {0o600}
    for each in (folder.path, folder.path / UNSORTED):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["..", ".", "a/b", "", "/etc", "A", "a\n", "x" * 33, "é"])
def test_no_label_leads_out_of_the_folder(folder: ReviewFolder, name: str) -> None:
    assert not is_label(name)
    with pytest.raises(ValueError, match="no name"):
        folder.add(name, "yard-1__yard-1.1", jpeg(), note())
    assert not folder.path.exists()


@pytest.mark.parametrize("stem", ["../x", "..", "", ".hidden", "a/b", "a\0b", "x" * 300, "a\n"])
def test_no_name_leads_out_of_the_folder(folder: ReviewFolder, stem: str) -> None:
    assert not is_stem(stem)
    with pytest.raises(ValueError, match="no name"):
        folder.add("phone", stem, jpeg(), note())
    assert not folder.path.exists()


def test_links_and_strange_files_are_not_ours(folder: ReviewFolder, tmp_path: Path) -> None:
    add(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "a__b.jpg").write_bytes(jpeg())
    (folder.path / "umbrella").symlink_to(elsewhere)
    (folder.path / "phone" / "link__x.jpg").symlink_to(elsewhere / "a__b.jpg")
    (folder.path / "phone" / ".hidden.jpg").write_bytes(jpeg())
    (folder.path / "phone" / "empty__x.jpg").touch()
    (folder.path / "note.txt").write_text("mine")
    assert [each.stem for each in folder.scan()] == ["yard-20261122t06__yard-1.1"]


def test_a_crop_moves_with_its_note_and_keeps_its_age(folder: ReviewFolder) -> None:
    added = add(folder)
    os.utime(folder.picture(added), (1000, 1000))
    [before] = folder.scan()
    folder.move(before, "umbrella", note(1, labelled_by="review"))
    [after] = folder.scan()
    assert (after.label, after.kept_ns, after.by_human) == ("umbrella", before.kept_ns, True)
    assert len(files(folder)) == 2


def test_a_note_changes_in_place(folder: ReviewFolder) -> None:
    add(folder)
    folder.move(folder.scan()[0], "phone", note(1, hint="look here"))
    [after] = folder.scan()
    assert after.note is not None
    assert after.note.hint == "look here"
    assert len(files(folder)) == 2


def test_a_crop_that_has_gone_leaves_no_note_behind(folder: ReviewFolder) -> None:
    gone = add(folder)
    folder.picture(gone).unlink()
    with pytest.raises(FileNotFoundError):
        folder.move(gone, "umbrella", note(1))
    assert files(folder) == ["phone/yard-20261122t06__yard-1.1.json"]
    folder.remove(gone)
    folder.remove(gone)
    assert files(folder) == []


def test_a_picture_moved_by_hand_counts_as_labelled_by_hand(folder: ReviewFolder) -> None:
    added = add(folder)
    (folder.path / "umbrella").mkdir()
    name = folder.picture(added).name
    folder.picture(added).rename(folder.path / "umbrella" / name)
    [found] = folder.scan()
    assert (found.label, found.by_human) == ("umbrella", True)
    assert found.note is not None
    assert found.note.labelled_by == "review"


def test_a_picture_without_any_note_is_a_humans(folder: ReviewFolder) -> None:
    add(folder)
    (folder.path / "phone" / "mine.jpg").write_bytes(jpeg(9))
    (folder.path / "phone" / "yard-20261122t06__yard-1.1.json").write_text("{}")
    assert [(each.note, each.by_human) for each in folder.scan()] == [(None, True)] * 2


def test_a_full_disk_leaves_nothing_half_written(
    folder: ReviewFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(folder, 1)
    whole = files(folder)
    taken = iter([True, False])
    write = review_folder._write

    def full(path: Path, content: bytes) -> None:
        if next(taken):
            return write(path, content)
        path.with_name(path.name + ".part").touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(review_folder, "_write", full)
    with pytest.raises(OSError, match="No space"):
        add(folder, 2)
    assert [name for name in files(folder) if not name.endswith(".part")] == whole


def test_old_halves_are_swept_away_and_young_ones_stay(folder: ReviewFolder) -> None:
    whole = add(folder, 1)
    places = folder.path / "phone"
    old = [places / "a__b.json", places / "a__c.jpg.part", places / "a__d.json.part"]
    young = places / "a__e.json"
    for path in (*old, young):
        path.write_text("{}")
    for path in (*old, folder.picture(whole)):
        long_ago = path.stat().st_mtime - LEFTOVER_S - 1
        os.utime(path, (long_ago, long_ago))
    os.utime(places / "yard-20261122t06__yard-1.1.json", (1000, 1000))
    folder.sweep()
    assert not [path for path in old if path.exists()]
    assert young.exists()
    assert len(folder.scan()) == 1


def test_there_is_nothing_in_a_folder_that_is_not_there(folder: ReviewFolder) -> None:
    assert folder.scan() == []
    folder.sweep()
    assert not folder.path.exists()
