import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.dataset_files import read, table, write
from training.datasets import DatasetError, Thing

SIZE = (80, 120, 3)
BOX = (12.0, 8.0, 60.0, 40.0)
NAMES = ["a-1", "a-2", "d-1", "d-2"]


def draw(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True)
    for name in names:
        cv2.imwrite(str(folder / f"{name}.jpg"), np.full(SIZE, 90, np.uint8))


def coco(folder: Path, names: list[str], file: str = "boxes.json") -> Path:
    document = {
        "images": [{"id": n, "file_name": f"{name}.jpg", "width": 120, "height": 80}
                   for n, name in enumerate(names)],
        "annotations": [{"image_id": n, "category_id": 1 + n % 2, "bbox": [12, 8, 48, 32]}
                        for n in range(len(names))],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }  # fmt: skip
    (folder / file).write_text(json.dumps(document))
    return folder / file


def yolo(folder: Path, sides: tuple[str, ...] = ("train", "val")) -> Path:
    for side in sides:
        draw(folder / "images" / side, NAMES[:2] if side == "train" else NAMES[2:])
        (folder / "labels" / side).mkdir(parents=True)
        for path in (folder / "images" / side).iterdir():
            text = folder / "labels" / side / f"{path.stem}.txt"
            text.write_text("1 0.3 0.3 0.4 0.4\n")
    lines = ["names: {0: cat, 1: dog}", *(f"{side}: images/{side}" for side in sides)]
    (folder / "data.yaml").write_text("\n".join(lines))
    return folder / "data.yaml"


def voc(folder: Path) -> Path:
    draw(folder / "JPEGImages", NAMES)
    (folder / "Annotations").mkdir()
    for name in NAMES:
        (folder / "Annotations" / f"{name}.xml").write_text(
            f"<annotation><filename>{name}.jpg</filename><size><width>120</width>"
            "<height>80</height></size><object><name>dog</name><bndbox><xmin>13</xmin>"
            "<ymin>9</ymin><xmax>60</xmax><ymax>40</ymax></bndbox></object></annotation>"
        )
    (folder / "ImageSets/Main").mkdir(parents=True)
    (folder / "ImageSets/Main/train.txt").write_text("a-1\na-2\nd-1\n")
    (folder / "ImageSets/Main/val.txt").write_text("d-2\n")
    return folder


def sides(dataset) -> dict[str, str]:
    return {Path(picture.name).stem: picture.side for picture in dataset.pictures}


def test_a_yolo_set_keeps_its_split_and_labels(tmp_path) -> None:
    found = read(yolo(tmp_path))
    assert found.labels == ("cat", "dog")
    assert sides(found) == {"a-1": "train", "a-2": "train", "d-1": "val", "d-2": "val"}
    (thing,) = found.pictures[0].things
    assert thing.label == "dog"
    assert thing.box == pytest.approx(BOX)


def test_a_yolo_set_without_a_split_is_split_by_recording(tmp_path) -> None:
    path = yolo(tmp_path, ("train",))
    draw(tmp_path / "more", [])
    for name in NAMES:
        cv2.imwrite(str(tmp_path / f"images/train/{name}.jpg"), np.zeros(SIZE, np.uint8))
    found = sides(read(path, judged=0.5))
    assert found["a-1"] == found["a-2"] != found["d-1"] == found["d-2"]


def test_a_list_of_images_is_a_set_too(tmp_path) -> None:
    yolo(tmp_path)
    (tmp_path / "train.txt").write_text("images/train/a-1.jpg\n./images/train/a-2.jpg\n")
    (tmp_path / "data.yaml").write_text("names: [cat, dog]\ntrain: train.txt\nval: images/val")
    found = read(tmp_path / "data.yaml")
    assert sorted(sides(found)) == NAMES
    assert all(picture.things for picture in found.pictures)


def test_a_voc_set_keeps_its_split(tmp_path) -> None:
    found = read(voc(tmp_path))
    assert found.labels == ("dog",)
    assert sides(found) == {"a-1": "train", "a-2": "train", "d-1": "train", "d-2": "val"}
    assert found.pictures[0].things == (Thing("dog", BOX),)


def test_a_coco_set_finds_its_images_and_takes_a_second_file_to_judge_by(tmp_path) -> None:
    draw(tmp_path / "images", NAMES)
    first = coco(tmp_path, NAMES[:3], "train.json")
    found = read(first, validation=coco(tmp_path, NAMES[3:], "val.json"))
    assert sides(found) == {"a-1": "train", "a-2": "train", "d-1": "train", "d-2": "val"}
    assert found.labels == ("dog", "cat")
    assert found.pictures[0].things == (Thing("dog", BOX),)


def test_what_is_written_reads_the_same_again(tmp_path) -> None:
    draw(tmp_path / "images", NAMES)
    found = read(coco(tmp_path, NAMES), one_label="suspect", judged=0.5)
    again = read(write(found, tmp_path / "out"))
    assert again.labels == ("suspect",)
    assert sides(again) == sides(found)
    assert [t.label for p in again.pictures for t in p.things] == ["suspect"] * 4
    assert again.pictures[0].things[0].box == pytest.approx(BOX, abs=0.01)
    assert "  suspect: 2 boxes on 2 images" in list(table(again))


def test_writing_anew_leaves_nothing_of_before(tmp_path) -> None:
    found = read(voc(tmp_path / "voc"))
    stale = tmp_path / "out/images/train/stale.jpg"
    stale.parent.mkdir(parents=True)
    stale.touch()
    write(found, tmp_path / "out")
    assert not stale.exists()


def test_missing_images_are_named_and_the_option_that_helps(tmp_path) -> None:
    draw(tmp_path / "images", NAMES[:2])
    with pytest.raises(DatasetError, match=r"2 of 4 images are missing.*d-1.jpg, d-2.jpg.*--im"):
        read(coco(tmp_path, NAMES))


def test_what_is_no_data_set_is_said(tmp_path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"is no data set: give a YOLO data.yaml"):
        read(tmp_path / "notes.txt")
    with pytest.raises(DatasetError, match=r"holds no .xml"):
        read(tmp_path)
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(DatasetError, match=r"cannot be read"):
        read(tmp_path / "broken.json")
    (tmp_path / "data.yaml").write_text("names: [dog]\ntrain: nowhere")
    with pytest.raises(DatasetError, match=r"nowhere, which is not there"):
        read(tmp_path / "data.yaml")
    (tmp_path / "data.yaml").write_text("train: x")
    with pytest.raises(DatasetError, match=r"needs `names`"):
        read(tmp_path / "data.yaml")


def test_a_file_that_is_no_image_is_named(tmp_path) -> None:
    path = yolo(tmp_path)
    (tmp_path / "images/val/d-1.jpg").write_text("no picture")
    with pytest.raises(DatasetError, match=r"d-1.jpg is no image: remove it"):
        read(path)
