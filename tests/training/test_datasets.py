import pytest

from training.datasets import (
    DatasetError,
    Picture,
    Thing,
    checked,
    counts,
    from_coco,
    from_voc,
    from_yolo,
    merged,
    recording_of,
    split,
    to_yolo,
)

EMPTY = Picture("a.jpg", 200, 100)
DOG = Thing("dog", (20.0, 10.0, 60.0, 50.0))

COCO = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 200, "height": 100},
        {"id": 9, "file_name": "b.jpg", "width": 200, "height": 100},
    ],
    "annotations": [
        {"image_id": 7, "category_id": 3, "bbox": [20, 10, 40, 40]},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 200, 100], "iscrowd": 1},
    ],
    "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
}
VOC = """
<annotation><filename>a.jpg</filename><size><width>200</width><height>100</height></size>
<object><name>dog</name><bndbox><xmin>21</xmin><ymin>11</ymin><xmax>60</xmax><ymax>50</ymax>
</bndbox></object></annotation>"""


def test_the_three_forms_say_the_same() -> None:
    whole = Picture("a.jpg", 200, 100, (DOG,))
    assert from_coco(COCO) == [whole, Picture("b.jpg", 200, 100)]
    assert from_voc(VOC, "other.jpg") == whole
    (thing,) = from_yolo("1 0.2 0.3 0.2 0.4\n", ["cat", "dog"], EMPTY).things
    assert thing.label == DOG.label
    assert thing.box == pytest.approx(DOG.box)
    assert to_yolo(whole, ["cat", "dog"]) == "1 0.200000 0.300000 0.200000 0.400000\n"


def test_a_polygon_becomes_the_box_around_it() -> None:
    found = from_yolo("0 0.1 0.1 0.3 0.2 0.2 0.5", ["dog"], EMPTY)
    assert found.things[0].box == pytest.approx((20, 10, 60, 50))


def test_an_image_without_labels_gives_an_empty_text() -> None:
    assert to_yolo(from_yolo("\n", ["dog"], EMPTY), ["dog"]) == ""


@pytest.mark.parametrize(
    "row", ["1 0.5 0.5", "dog 0.5 0.5 0.1 0.1", "0.5 0.5 0.5 0.1 0.1", "0 1 2 3 4 5"]
)
def test_a_broken_row_is_named(row) -> None:
    with pytest.raises(DatasetError, match=r"a.jpg, row 2 of its labels"):
        from_yolo(f"0 0.5 0.5 0.1 0.1\n{row}", ["dog"], EMPTY)


@pytest.mark.parametrize(
    "document", [{}, {"images": [], "categories": []}, {**COCO, "annotations": [{"bbox": [1]}]}]
)
def test_json_that_is_no_coco_document_says_what_it_needs(document) -> None:
    with pytest.raises(DatasetError, match=r"it needs `images`"):
        from_coco(document)


@pytest.mark.parametrize(
    "text", ["<annotation/>", "no xml", VOC.replace("<xmin>21</xmin>", ""), VOC.replace("21", "x")]
)
def test_an_annotation_that_is_none_is_named(text) -> None:
    with pytest.raises(DatasetError, match=r"7.xml: this is no Pascal VOC annotation"):
        from_voc(text, "7.xml")


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        pytest.param((0, 0, 200, 100), (0, 0, 200, 100), id="the-whole-image"),
        pytest.param((-4, -2, 204, 102), (0, 0, 200, 100), id="cut-off-at-the-edges"),
        pytest.param((-5, 0, 20, 20), None, id="too-far-left"),
        pytest.param((0, 0, 20, 103), None, id="too-far-down"),
        pytest.param((20, 20, 20.5, 40), None, id="without-width"),
        pytest.param((40, 20, 20, 40), None, id="turned-round"),
        pytest.param((float("nan"), 0, 20, 20), None, id="no-number"),
    ],
)
def test_boxes_are_checked_against_their_image(box, kept) -> None:
    picture = Picture("a.jpg", 200, 100, (Thing("dog", box), DOG))
    if kept is None:
        with pytest.raises(DatasetError, match=r"a.jpg: the box .* of a dog lies outside 200x100"):
            checked([picture], ["dog"])
    else:
        assert checked([picture], ["dog"])[0].things[0].box == kept


def test_unknown_labels_are_named_and_long_lists_are_cut() -> None:
    pictures = [Picture(f"{n}.jpg", 200, 100, (Thing("cow", DOG.box),)) for n in range(15)]
    with pytest.raises(DatasetError) as caught:
        checked(pictures, ["cat", "dog"])
    assert "0.jpg: the label 'cow' is not one of cat, dog" in str(caught.value)
    assert "and 3 more" in str(caught.value)


def test_a_set_without_a_box_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"no image has a labelled box"):
        checked([EMPTY], ["dog"])


def test_one_label_takes_the_place_of_all() -> None:
    picture = Picture("a.jpg", 200, 100, (DOG, Thing("cat", DOG.box)))
    assert counts([picture]) == {"dog": (1, 1), "cat": (1, 1)}
    assert counts(merged([picture], "suspect")) == {"suspect": (2, 1)}


@pytest.mark.parametrize(
    ("name", "recording"),
    [
        ("yard/cam1__000123.jpg", "yard/cam1"),
        ("yard/cam1-000123.jpg", "yard/cam1"),
        ("yard/cam1_5.png", "yard/cam1"),
        ("00012.jpg", "00012"),
        ("my_dog.jpg", "my_dog"),
    ],
)
def test_a_recording_is_what_neighbours_share(name, recording) -> None:
    assert recording_of(name) == recording


def test_neighbours_never_stand_on_both_sides() -> None:
    pictures = [Picture(f"{r}-{n}.jpg", 9, 9) for r in "abcdefghijkl" for n in range(4)]
    sided = split(pictures, judged=0.4)
    sides: dict[str, set[str | None]] = {recording_of(p.name): set() for p in sided}
    for picture in sided:
        sides[recording_of(picture.name)].add(picture.side)
    assert all(len(found) == 1 for found in sides.values())
    assert {side for found in sides.values() for side in found} == {"train", "val"}


def test_the_split_of_the_data_set_stands() -> None:
    pictures = [Picture("a-1.jpg", 9, 9, (), "train"), Picture("a-2.jpg", 9, 9, (), "val")]
    assert split(pictures, judged=0.9) == pictures


def test_one_recording_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match=r"of 1 recording"):
        split([Picture(f"a-{n}.jpg", 9, 9) for n in range(9)], judged=0.3)
