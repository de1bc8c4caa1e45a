"""Reads a detector's data set from disk, in whatever form it is, and writes it as a YOLO one.

It knows where each form keeps its files; what they say is `training/datasets.py`'s knowledge.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import yaml

from training.datasets import (
    DatasetError,
    Picture,
    Side,
    checked,
    counts,
    from_coco,
    from_voc,
    from_yolo,
    merged,
    split,
    to_yolo,
)

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_NAMED = 8


class Dataset(NamedTuple):
    """A data set that was read and found good."""

    root: Path
    """The folder that the pictures' names are relative to."""
    pictures: list[Picture]
    labels: tuple[str, ...]


def read(
    data: Path, *, images: Path | None = None, validation: Path | None = None,
    one_label: str | None = None, judged: float = 0.15,
) -> Dataset:  # fmt: skip
    """Return a data set, checked and with a side for every picture.

    Args:
        data: A YOLO `data.yaml`, a COCO `.json` or the folder of a Pascal VOC set.
        images: Folder of a COCO set's images; without it `images` beside the JSON, or its folder.
        validation: A second COCO file or VOC folder whose images are for validation alone.
        one_label: Replaces all labels.
        judged: The part of the recordings for validation where the data set has no split.

    Raises:
        DatasetError: It cannot be used; the message names every mistake.
    """
    found = _read(data, images, None if validation is None else "train")
    if validation is not None:
        more = _read(validation, images, "val")
        root = Path(os.path.commonpath([found.root.resolve(), more.root.resolve()]))
        pictures = [*_moved(found, root), *_moved(more, root)]
        labels = tuple(dict.fromkeys([*found.labels, *more.labels]))
        found = Dataset(root, pictures, labels)
    if not found.pictures:
        raise DatasetError(f"{data} names no images: there is nothing to learn from")
    _demand(found)
    labels = found.labels or tuple(counts(found.pictures))
    pictures = checked(found.pictures, labels)
    if one_label:
        pictures, labels = merged(pictures, one_label), (one_label,)
    return Dataset(found.root, split(pictures, judged), labels)


def _read(data: Path, images: Path | None, side: Side | None) -> Dataset:
    if data.is_dir() and (data / "data.yaml").exists():
        data = data / "data.yaml"
    if data.is_dir():
        return _voc(data, side)
    if data.suffix == ".json":
        return _coco(data, images, side)
    if data.suffix in {".yaml", ".yml"}:
        return _yolo(data)
    raise DatasetError(
        f"{data} is no data set: give a YOLO data.yaml, a COCO .json or the folder of a Pascal "
        "VOC set (with Annotations and JPEGImages)"
    )


def _moved(found: Dataset, root: Path) -> Iterator[Picture]:
    """Yield the pictures with their names relative to another root."""
    base = found.root.resolve().relative_to(root)
    for picture in found.pictures:
        yield replace(picture, name=str(base / picture.name))


def _coco(path: Path, images: Path | None, side: Side | None) -> Dataset:
    document = _loaded(path, json.loads)
    beside = path.parent / "images"
    root = images or (beside if beside.is_dir() else path.parent)
    try:
        pictures = from_coco(document, side)
    except DatasetError as error:
        raise DatasetError(f"{path}: {error}") from error
    return Dataset(root, pictures, tuple(str(c["name"]) for c in document["categories"]))


def _voc(folder: Path, side: Side | None) -> Dataset:
    root, annotations = folder / "JPEGImages", folder / "Annotations"
    files = sorted(annotations.glob("*.xml"))
    if not files:
        raise DatasetError(f"{annotations} holds no .xml: is {folder} a Pascal VOC set?")
    sides: dict[str, Side] = {}
    named: tuple[tuple[str, Side], ...] = (("train", "train"), ("val", "val"))
    for name, of in named:
        listed = folder / "ImageSets/Main" / f"{name}.txt"
        words = listed.read_text().split() if listed.exists() else []
        sides.update(dict.fromkeys(words, of))
    pictures = [
        from_voc(path.read_text(), f"{path.stem}.jpg", side or sides.get(path.stem))
        for path in files
    ]
    return Dataset(root if root.is_dir() else folder, pictures, ())


def _yolo(path: Path) -> Dataset:
    document = _loaded(path, yaml.safe_load)
    names = document.get("names")
    if isinstance(names, dict):
        names = [names[key] for key in sorted(names)]
    if not isinstance(names, list) or not names or not document.get("train"):
        raise DatasetError(f"{path} needs `names` (the labels, in order) and `train` (images)")
    labels = tuple(str(name) for name in names)
    # As the tools read it: relative to `path`, which is relative to the file's folder.
    root = (path.parent / str(document.get("path") or ".")).resolve()
    pictures = []
    sides: tuple[tuple[str, Side | None], ...] = (("train", "train"), ("val", "val"))
    if not document.get("val"):
        sides = (("train", None),)
    for key, side in sides:
        for image in _listed(root, document[key], path):
            picture = _measured(root, image, side)
            text = _labels_of(image)
            words = text.read_text() if text.exists() else ""
            pictures.append(from_yolo(words, labels, picture))
    return Dataset(root, pictures, labels)


def _loaded(path: Path, load: Callable[[str], Any]) -> dict[str, Any]:
    try:
        document = load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise DatasetError(f"{path} holds a {type(document).__name__}, not names with values")
    return document


def _listed(root: Path, places: str | list[str], source: Path) -> list[Path]:
    """Return the images of a folder, a text file of paths, or a list of these."""
    found: list[Path] = []
    for place in [places] if isinstance(places, str) else places:
        path = root / place
        if path.is_dir():
            found += [p for p in sorted(path.rglob("*")) if p.suffix.lower() in IMAGES]
        elif path.is_file():
            lines = path.read_text().split("\n")
            found += [(path.parent / line.strip()) for line in lines if line.strip()]
        else:
            raise DatasetError(f"{source} names {path}, which is not there: correct the path")
    return found


def _labels_of(image: Path) -> Path:
    """Return where YOLO keeps an image's labels: `labels` for the last `images` of its path."""
    parts = list(image.parts)
    for number in range(len(parts) - 2, -1, -1):
        if parts[number] == "images":
            parts[number] = "labels"
            break
    return Path(*parts).with_suffix(".txt")


def _measured(root: Path, path: Path, side: Side | None) -> Picture:
    # Normalised but not resolved: a link's target may lie in no `images` folder.
    name = os.path.relpath(path, root)
    if not path.exists():
        return Picture(name, 0, 0, (), side)
    image = cv2.imread(str(path))
    if image is None:
        raise DatasetError(f"{path} is no image: remove it")
    return Picture(name, image.shape[1], image.shape[0], (), side)


def _demand(found: Dataset) -> None:
    """See that every image is there.

    Raises:
        DatasetError: It names the first of those that are missing.
    """
    missing = [p.name for p in found.pictures if not (found.root / p.name).is_file()]
    if missing:
        named = ", ".join(missing[:_NAMED]) + (", …" if len(missing) > _NAMED else "")
        raise DatasetError(
            f"{len(missing)} of {len(found.pictures)} images are missing in {found.root}: {named}"
            " (COCO sets: give their folder with --images)"
        )


def write(dataset: Dataset, out: Path) -> Path:
    """Write the data set as the tools want it and return its `data.yaml`.

    Images become links into the data set where the system has links, else copies.
    """
    shutil.rmtree(out, ignore_errors=True)
    for picture in dataset.pictures:
        # One flat folder: the tools find labels by replacing `images` in the path.
        flat = Path(picture.name.replace("../", "").replace("/", "__"))
        image = out / "images" / str(picture.side) / flat
        text = (out / "labels" / str(picture.side) / flat).with_suffix(".txt")
        image.parent.mkdir(parents=True, exist_ok=True)
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(to_yolo(picture, dataset.labels))
        _link((dataset.root / picture.name).resolve(), image)
    document = {"path": str(out.resolve()), "train": "images/train", "val": "images/val",
                "nc": len(dataset.labels), "names": list(dataset.labels)}  # fmt: skip
    # JSON is YAML too.
    (out / "data.yaml").write_text(json.dumps(document, indent=1) + "\n")
    return out / "data.yaml"


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source)
    except OSError:
        shutil.copy(source, target)


def table(dataset: Dataset) -> Iterator[str]:
    """Yield lines that say how much of each label there is, on each side."""
    for side in ("train", "val"):
        pictures = [picture for picture in dataset.pictures if picture.side == side]
        empty = sum(not picture.things for picture in pictures)
        yield f"{side}: {len(pictures)} images, {empty} of them with nothing on them"
        found = counts(pictures)
        for label in dataset.labels:
            boxes, images = found.get(label, (0, 0))
            yield f"  {label}: {boxes} boxes on {images} images"
