"""What a detector's data set says, whatever its form: images, boxes, labels, recordings.

Parses COCO-JSON, Pascal VOC and YOLO text and writes YOLO text. Pure: text in, text out; which
files there are is `training/dataset_files.py`'s knowledge.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any, Literal
from xml.etree import ElementTree as ET

from training.splits import side_of

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels of the image."""
Side = Literal["train", "val"]

TOLERANCE = 0.02
"""A box may reach over the edge by this part of the image's side: such are cut off there."""
_MIN_SIDE = 1.0
"""Boxes of less than a pixel show nothing."""
_COLUMNS = 5
_NAMED = 12
"""So many mistakes are named; the rest is counted."""


class DatasetError(Exception):
    """A data set cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One labelled box."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of a data set with what is on it."""

    name: str
    """Path as the data set gives it, relative to the folder of images."""
    width: int
    height: int
    things: tuple[Thing, ...] = ()
    side: Side | None = None
    """Where the data set says on which side it stands."""


def recording_of(name: str) -> str:
    """Return the recording that an image comes from; neighbours in it look alike.

    The folder and the stem before its first `__`, or else before its last `-` or `_` if only a
    number follows: `yard/cam1__000123.jpg` and `yard/cam1-000123.jpg` are of `yard/cam1`.
    """
    path = PurePath(name)
    stem = path.stem
    before, marked, _ = stem.partition("__")
    if not marked:
        cut = max(stem.rfind("-"), stem.rfind("_"))
        before = stem[:cut] if cut > 0 and stem[cut + 1 :].isdigit() else stem
    return str(path.with_name(before))


def split(pictures: Sequence[Picture], judged: float) -> list[Picture]:
    """Return the pictures with a side each: the data set's own, or else by recording.

    Raises:
        DatasetError: One side would be empty.
    """
    if any(picture.side for picture in pictures):
        sided = [picture if picture.side else replace(picture, side="train")
                 for picture in pictures]  # fmt: skip
    else:
        sided = [replace(p, side=_side_of(p, judged)) for p in pictures]
    for side in ("train", "val"):
        if not any(picture.side == side for picture in sided):
            recordings = len({recording_of(picture.name) for picture in pictures})
            raise DatasetError(
                f"no image is left for `{side}` among {len(pictures)} of {recordings} recording(s):"
                " add recordings, say which images are for validation, or change --judged"
            )
    return sided


def _side_of(picture: Picture, judged: float) -> Side:
    judges = side_of(recording_of(picture.name), judged=judged) == "judge"
    return "val" if judges else "train"


def merged(pictures: Iterable[Picture], label: str) -> list[Picture]:
    """Return the pictures with every label replaced by one, as a detector for recall learns it."""
    return [
        replace(picture, things=tuple(replace(thing, label=label) for thing in picture.things))
        for picture in pictures
    ]


def counts(pictures: Iterable[Picture]) -> dict[str, tuple[int, int]]:
    """Return for every label how many boxes and how many images have it, most boxes first."""
    boxes: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for picture in pictures:
        labels = [thing.label for thing in picture.things]
        boxes.update(labels)
        images.update(set(labels))
    return {label: (number, images[label]) for label, number in boxes.most_common()}


def checked(pictures: Sequence[Picture], labels: Sequence[str]) -> list[Picture]:
    """Return the pictures, their boxes cut off at the edges.

    Raises:
        DatasetError: Nothing is labelled, a label is unknown, or a box lies outside its image;
            every mistake is named, up to a dozen.
    """
    mistakes: list[str] = []
    good = []
    for picture in pictures:
        things = []
        for thing in picture.things:
            box = _inside(thing.box, picture)
            if thing.label not in labels:
                mistakes.append(f"{picture.name}: the label {thing.label!r} is not one of "
                                f"{', '.join(labels)}")  # fmt: skip
            elif box is None:
                shown = ", ".join(f"{value:.1f}" for value in thing.box)
                mistakes.append(f"{picture.name}: the box ({shown}) of a {thing.label} lies "
                                f"outside {picture.width}x{picture.height}")  # fmt: skip
            else:
                things.append(replace(thing, box=box))
        good.append(replace(picture, things=tuple(things)))
    if mistakes:
        raise DatasetError(_listed("the data set has mistakes", mistakes))
    if not any(picture.things for picture in good):
        raise DatasetError("the data set is empty: no image has a labelled box")
    return good


def _inside(box: Box, picture: Picture) -> Box | None:
    """Return the box cut off at the image's edges, or None if it is none in there."""
    across, down = TOLERANCE * picture.width, TOLERANCE * picture.height
    left, top, right, bottom = box
    # Comparisons with NaN are False, so broken numbers do not pass either.
    near = left >= -across and top >= -down
    near = near and right <= picture.width + across and bottom <= picture.height + down
    left, top = max(left, 0.0), max(top, 0.0)
    right, bottom = min(right, float(picture.width)), min(bottom, float(picture.height))
    if not near or not (right - left >= _MIN_SIDE and bottom - top >= _MIN_SIDE):
        return None
    return left, top, right, bottom


def _listed(title: str, mistakes: list[str]) -> str:
    more = [f"and {len(mistakes) - _NAMED} more"] if len(mistakes) > _NAMED else []
    return "\n  ".join([f"{title}:", *mistakes[:_NAMED], *more])


def from_coco(document: Mapping[str, Any], side: Side | None = None) -> list[Picture]:
    """Return the pictures of a COCO-JSON document; its boxes are x, y, width, height in pixels.

    Crowd regions (`iscrowd`) are no boxes of one thing and are left out.

    Raises:
        DatasetError: It is no such document.
    """
    try:
        names = {entry["id"]: str(entry["name"]) for entry in document["categories"]}
        things: dict[Any, list[Thing]] = {entry["id"]: [] for entry in document["images"]}
        for entry in document["annotations"]:
            if entry.get("iscrowd"):
                continue
            left, top, wide, high = (float(value) for value in entry["bbox"])
            label = names.get(entry["category_id"], f"category {entry['category_id']}")
            box = (left, top, left + wide, top + high)
            things[entry["image_id"]].append(Thing(label, box))
        return [
            Picture(str(entry["file_name"]), int(entry["width"]), int(entry["height"]),
                    tuple(things[entry["id"]]), side)
            for entry in document["images"]
        ]  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError(
            f"this is no COCO document of boxes ({type(error).__name__}: {error}): it needs "
            "`images` with width and height, `annotations` with `bbox`, and `categories`"
        ) from error


def from_voc(text: str, name: str, side: Side | None = None) -> Picture:
    """Return the picture of a Pascal VOC annotation; its boxes count pixels from 1.

    Args:
        text: The XML.
        name: Used where it does not name its image.
        side: Where the data set says it.

    Raises:
        DatasetError: It is no such annotation.
    """
    try:
        # Its own annotations: whoever can write these can write the training code as well.
        root = ET.fromstring(text)  # noqa: S314
        things = []
        for entry in root.iter("object"):
            corners = [_number(entry, f"bndbox/{key}") for key in ("xmin", "ymin", "xmax", "ymax")]
            box = (corners[0] - 1, corners[1] - 1, corners[2], corners[3])
            things.append(Thing(str(entry.findtext("name", "")).strip(), box))
        width, height = int(_number(root, "size/width")), int(_number(root, "size/height"))
        return Picture(root.findtext("filename") or name, width, height, tuple(things), side)
    except (ET.ParseError, ValueError) as error:
        raise DatasetError(f"{name}: this is no Pascal VOC annotation ({error})") from error


def _number(entry: ET.Element, path: str) -> float:
    found = entry.findtext(path)
    if found is None:
        raise ValueError(f"{path} is missing")
    return float(found)


def from_yolo(text: str, names: Sequence[str], picture: Picture) -> Picture:
    """Return a picture with the boxes of its YOLO text: `label x y width height`, parts of it.

    Rows of polygons (`label x y x y …`) become the boxes around them.

    Raises:
        DatasetError: A row has another form; it names the row.
    """
    things = []
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            index, *values = (float(word) for word in row.split())
        except ValueError:
            index, values = -1.0, []
        if len(values) < _COLUMNS - 1 or len(values) % 2 or int(index) != index:
            raise DatasetError(f"{picture.name}, row {number} of its labels is not "
                               f"`label x y width height`: {row.strip()[:60]!r}")  # fmt: skip
        label = names[int(index)] if 0 <= index < len(names) else f"number {int(index)}"
        things.append(Thing(label, _of_parts(values, picture)))
    return replace(picture, things=tuple(things))


def _of_parts(values: Sequence[float], picture: Picture) -> Box:
    width, height = picture.width, picture.height
    if len(values) == _COLUMNS - 1:
        x, y, wide, high = values
        left, top, right, bottom = x - wide / 2, y - high / 2, x + wide / 2, y + high / 2
    else:
        left, right = min(values[::2]), max(values[::2])
        top, bottom = min(values[1::2]), max(values[1::2])
    return left * width, top * height, right * width, bottom * height


def to_yolo(picture: Picture, labels: Sequence[str]) -> str:
    """Return the picture's boxes as YOLO text, one row each, with a line end."""
    rows = []
    for thing in picture.things:
        left, top, right, bottom = thing.box
        parts = (
            (left + right) / 2 / picture.width, (top + bottom) / 2 / picture.height,
            (right - left) / picture.width, (bottom - top) / picture.height,
        )  # fmt: skip
        rows.append(f"{labels.index(thing.label)} " + " ".join(f"{part:.6f}" for part in parts))
    return "".join(f"{row}\n" for row in rows)
