import itertools
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from training import crops
from training.crops import Crops, batches, labels_in, read, shares, vary
from training.findings import of_balance, of_duplicates
from training.splits import split


def random_pictures(seed: int, count: int, side: int = 64) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), np.uint8)
    return np.array([cv2.resize(each, (side, side)) for each in coarse])


def folders(root: Path, **counts: int) -> Path:
    for seed, (label, count) in enumerate(counts.items()):
        (root / label).mkdir(parents=True)
        for number, image in enumerate(random_pictures(seed, count)):
            cv2.imwrite(str(root / label / f"{label}{number // 2}__{number}.png"), image)
    return root


def crops_of(root: Path, side: int = 32) -> Crops:
    return read(root, labels_in(root), side)


def sides(found: Crops, judged: float = 0.3) -> tuple[Crops, Crops]:
    train, judge = split([path.name for path in found.paths], judged=judged)
    return found.of(train), found.of(judge)


def test_labels_are_the_folders_names_and_empty_is_last(tmp_path: Path) -> None:
    folders(tmp_path, umbrella=1, empty=1, big_gun=1)
    (tmp_path / "notes").mkdir()
    assert labels_in(tmp_path) == ("big_gun", "umbrella", "empty")


def test_one_folder_is_no_choice(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="at least two; found phone"):
        labels_in(folders(tmp_path, phone=2))


def test_crops_are_read_as_serving_would_prepare_them(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    picture = random_pictures(3, 1, side=50)[0][:40]
    for label in "ab":
        cv2.imwrite(str(tmp_path / label / "x__1.png"), picture)
    found = read(tmp_path, ("b", "a"), 32)
    expected = cv2.resize(picture, (32, 32), interpolation=cv2.INTER_LINEAR)[..., ::-1]
    assert np.array_equal(found.images[1], expected)
    assert [path.parent.name for path in found.paths] == ["b", "a"]
    assert found.truth.tolist() == [0, 1]


@pytest.mark.parametrize("size", [0, 15])
def test_a_file_that_is_no_usable_picture_is_named(tmp_path: Path, size: int) -> None:
    folders(tmp_path, a=1, b=1)
    bad = tmp_path / "b" / "bad__1.png"
    bad.write_bytes(b"nothing")
    if size:
        cv2.imwrite(str(bad), np.zeros((size, 90, 3), np.uint8))
    with pytest.raises(click.ClickException, match=r"bad__1\.png is no picture of at least 16x16"):
        crops_of(tmp_path)


def test_varied_crops_keep_their_shape_and_follow_from_the_seed() -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 96, 96, 3), np.uint8)
    a, b, other = (vary(np.random.default_rng(seed), images) for seed in (4, 4, 5))
    assert a.shape == images.shape
    assert np.array_equal(a, b)
    assert not np.array_equal(a, other)


CHANCES = ("_FLIPPED", "_LIT", "_GREY", "_MOVED", "_COVERED", "_BLURRED", "_NOISY", "_PACKED")


@pytest.mark.parametrize("chance", CHANCES)
def test_each_way_to_vary_changes_every_channel(monkeypatch, chance: str) -> None:
    for each in CHANCES:
        monkeypatch.setattr(crops, each, 1.0 if each == chance else 0.0)
    images = random_pictures(1, 4, side=96)
    changed = (vary(np.random.default_rng(0), images) != images).any(axis=(1, 2))
    assert changed.all()


def test_without_chances_nothing_is_varied(monkeypatch) -> None:
    for each in CHANCES:
        monkeypatch.setattr(crops, each, 0.0)
    images = random_pictures(1, 4, side=96)
    assert np.array_equal(vary(np.random.default_rng(0), images), images)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param(("a", "b", "c", "d"), [0.25] * 4, id="alike"),
        pytest.param(("a", "b", "empty"), [0.32, 0.32, 0.36], id="empty-has-more"),
        pytest.param(("a", "empty"), [0.5, 0.5], id="two"),
    ],
)
def test_labels_have_fixed_shares_however_many_crops_they_have(labels, expected) -> None:
    assert shares(labels) == pytest.approx(expected)


def test_batches_hold_rare_labels_as_often_as_common_ones(tmp_path: Path) -> None:
    found = crops_of(folders(tmp_path, a=40, b=2))
    stream = batches(found, 50, seed=1)
    drawn = np.concatenate([labels for _, labels in itertools.islice(stream, 8)])
    stream.close()
    assert drawn.mean() == pytest.approx(0.5, abs=0.1)


def test_a_label_without_enough_is_named_before_training(tmp_path: Path) -> None:
    train, judge = sides(crops_of(folders(tmp_path, a=300, b=4)), judged=0.3)
    texts = " / ".join(finding.text for finding in of_balance(train, judge))
    assert "crops of b from" in texts
    assert "times the crops of the smallest" in texts
    assert "crops of a from" not in texts


def test_without_judging_or_training_crops_there_is_no_training(tmp_path: Path) -> None:
    found = crops_of(folders(tmp_path, a=6, b=6))
    nothing = found.of([])
    assert any(finding.fatal for finding in of_balance(found, nothing))
    assert any(finding.fatal for finding in of_balance(nothing, found))


def test_a_picture_with_two_labels_stops_the_training_and_is_named(tmp_path: Path) -> None:
    folders(tmp_path, a=6, b=6)
    (tmp_path / "b" / "copy__1.png").write_bytes((tmp_path / "a" / "a0__1.png").read_bytes())
    (finding,) = [each for each in of_duplicates(*sides(crops_of(tmp_path))) if each.fatal]
    assert "a0__1.png = " in finding.text
    assert "copy__1.png" in finding.text


def test_a_double_on_the_other_side_is_a_warning(tmp_path: Path) -> None:
    found = crops_of(folders(tmp_path, a=6, b=6))
    (finding,) = of_duplicates(found, found.of([2]))
    assert not finding.fatal
    assert "1 of 1 judging pictures have a near double that trains" in finding.text


def test_different_pictures_are_found_fault_with_by_nobody(tmp_path: Path) -> None:
    assert of_duplicates(*sides(crops_of(folders(tmp_path, a=9, b=9)))) == []
