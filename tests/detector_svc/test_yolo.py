"""Outputs of every kind, broken ones included, and what NMS keeps."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from detector_svc.yolo import MAX_CANDIDATES, Detections, Head, nms
from secondlook.errors import ModelError, ModelMismatch
from secondlook.model_spec import ModelParameters, ModelSpec, Tensor

LABELS = ("gun", "phone", "cup")
CANVAS = (640, 640)


def head(kind, labels=LABELS):
    return Head(kind, labels, CANVAS, "output0")


def yolov5(*rows):
    """Return an output of 6 boxes, all background but `rows`."""
    output = np.zeros((1, 6, 5 + len(LABELS)), np.float32)
    for index, row in enumerate(rows):
        output[0, index] = row
    return {"output0": output}


def yolov8(*columns):
    output = np.zeros((1, 4 + len(LABELS), 6), np.float32)
    for index, column in enumerate(columns):
        output[0, :, index] = column
    return {"output0": output}


def fused(boxes, scores, labels, count=None):
    return {
        "boxes": np.array([boxes], np.float32).reshape(1, -1, 4),
        "scores": np.array([scores], np.float32),
        "labels": np.array([labels], np.int32),
        "count": np.array([[len(scores) if count is None else count]], np.int32),
    }


def detections(*rows):
    """Return detections of (x1, y1, x2, y2, score, label)."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4].copy(), table[:, 4].copy(), table[:, 5].astype(np.int32))


def overlap(a, b):
    across = min(a[2], b[2]) - max(a[0], b[0])
    down = min(a[3], b[3]) - max(a[1], b[1])
    if across <= 0 or down <= 0:
        return 0.0
    both = float(across) * float(down)
    area = [float(q[2] - q[0]) * float(q[3] - q[1]) for q in (a, b)]
    return both / (area[0] + area[1] - both)


def test_anchor_based_score_is_objectness_times_label():
    output = yolov5([100, 100, 20, 40, 0.8, 0.1, 0.9, 0.2], [50, 50, 10, 10, 0.3, 0.5, 0, 0])

    decoded = head("yolov5").decode(output, min_score=0.25)

    assert decoded.detections.boxes.tolist() == [[90, 80, 110, 120]]
    assert decoded.detections.scores == pytest.approx([0.72])
    assert decoded.detections.labels.tolist() == [1]
    assert decoded.invalid == 0
    assert not decoded.limit_reached


def test_anchor_free_score_is_the_best_labels():
    output = yolov8([100, 100, 20, 40, 0.1, 0.2, 0.6])

    decoded = head("yolov8").decode(output)

    assert decoded.detections.boxes.tolist() == [[90, 80, 110, 120]]
    assert decoded.detections.scores == pytest.approx([0.6])
    assert decoded.detections.labels.tolist() == [2]


def test_fused_output_is_taken_from_the_score_on():
    output = fused([[1, 2, 3, 4], [5, 6, 7, 8]], [0.9, 0.2], [2, 0])

    decoded = head("fused").decode(output, min_score=0.25)

    assert decoded.detections.boxes.tolist() == [[1, 2, 3, 4]]
    assert decoded.detections.labels.tolist() == [2]
    assert not decoded.limit_reached


@pytest.mark.parametrize(
    ("count", "last", "reached"), [(2, 0.3, True), (9, 0.3, True), (9, 0.1, False), (1, 0.3, False)]
)
def test_a_full_fused_output_is_reported_only_if_boxes_that_count_were_lost(count, last, reached):
    output = fused([[1, 2, 3, 4], [5, 6, 7, 8]], [0.9, last], [0, 0], count)

    assert head("fused").decode(output, min_score=0.25).limit_reached is reached


def test_each_picture_of_a_batch_is_read_apart():
    one = yolov8([100, 100, 20, 40, 0.9, 0, 0])["output0"]
    two = yolov8([200, 200, 20, 40, 0, 0.8, 0])["output0"]

    decoded = head("yolov8").decode({"output0": np.concatenate([one, two])}, row=1)

    assert decoded.detections.labels.tolist() == [1]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30, -1e30])
@pytest.mark.parametrize("place", range(4))
def test_a_broken_coordinate_is_dropped_and_counted(broken, place):
    good = [100, 100, 20, 40, 0.9, 0.9, 0, 0]
    bad = list(good)
    bad[place] = broken

    decoded = head("yolov5").decode(yolov5(good, bad))

    assert len(decoded.detections) == 1
    assert decoded.invalid == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf, 1e30])
@pytest.mark.parametrize("place", [4, 5, 6])
def test_a_broken_score_is_dropped_and_counted(broken, place):
    bad = [100, 100, 20, 40, 0.9, 0.9, 0.1, 0]
    bad[place] = broken

    decoded = head("yolov5").decode(yolov5(bad))

    assert len(decoded.detections) == 0
    assert decoded.invalid == 1


def test_a_label_that_does_not_exist_is_dropped_and_counted():
    decoded = head("fused").decode(fused([[1, 2, 3, 4]] * 3, [0.9] * 3, [3, -1, 0]))

    assert len(decoded.detections) == 1
    assert decoded.invalid == 2


def test_half_precision_may_round_a_score_just_above_one():
    decoded = head("fused").decode(fused([[1, 2, 3, 4]], [1.0005], [0]))

    assert decoded.detections.scores.tolist() == [1.0]


def test_only_the_best_candidates_enter_nms():
    n = MAX_CANDIDATES + 5
    output = fused([[1, 2, 3, 4]] * n, np.linspace(0.3, 0.9, n), [0] * n, 0)

    decoded = head("fused").decode(output)

    assert len(decoded.detections) == MAX_CANDIDATES
    assert decoded.limit_reached
    assert decoded.detections.scores[0] == pytest.approx(0.9)


@given(
    st.sampled_from(["yolov5", "yolov8", "fused"]),
    hnp.arrays(np.float32, (1, 9, 9), elements=st.floats(width=32)),
    st.floats(0, 1),
)
def test_no_output_whatsoever_breaks_the_reader(kind, numbers, min_score):
    labels = tuple(f"label_{i}" for i in range(4 if kind == "yolov5" else 5))
    outputs = {
        "output0": numbers,
        "boxes": numbers[:, :, :4],
        "scores": numbers[:, :, 4],
        "labels": np.arange(9, dtype=np.int32)[None] - 2,
        "count": np.array([[2**31 - 1]], np.int32),
    }

    found = head(kind, labels).decode(outputs, min_score=min_score).detections
    kept = nms(found, 0.45, 5)

    assert np.isfinite(kept.boxes).all()
    assert ((kept.scores >= np.float32(min_score)) & (kept.scores <= 1)).all()
    assert ((kept.labels >= 0) & (kept.labels < len(labels))).all()
    assert len(kept) <= 5


@pytest.mark.parametrize(
    "outputs",
    [
        {},
        {"output0": np.zeros((1, 6, 9), np.float32)},
        {"output0": np.zeros((1, 0), np.float32)},
        {"output0": np.zeros((0, 6, 8), np.float32)},
    ],
)
@pytest.mark.parametrize("kind", ["yolov5", "yolov8", "fused"])
def test_an_output_of_another_shape_is_a_failure_of_the_model(kind, outputs):
    with pytest.raises(ModelError, match="cannot be read"):
        head(kind).decode(outputs)


def test_nms_keeps_the_better_of_two_boxes_of_one_label():
    found = detections([0, 0, 10, 10, 0.5, 0], [1, 0, 11, 10, 0.9, 0], [1, 0, 11, 10, 0.4, 1])

    kept = nms(found, 0.45, 100)

    assert kept.scores == pytest.approx([0.9, 0.4])
    assert kept.labels.tolist() == [0, 1]


def test_nms_holds_labels_apart_even_with_negative_coordinates():
    found = detections([-600, -600, 20, 20, 0.9, 1], [-600, -600, 20, 20, 0.8, 0])

    assert len(nms(found, 0.1, 100)) == 2


boxes = st.tuples(
    st.integers(-50, 600), st.integers(-50, 600), st.integers(1, 200), st.integers(1, 200)
).map(lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3]))
rows = st.lists(
    st.tuples(boxes, st.integers(1, 100), st.integers(0, 2)).map(
        lambda r: [*r[0], r[1] / 100, r[2]]
    ),
    max_size=25,
)


@given(rows, st.sampled_from([0.0, 0.3, 0.45, 0.9]))
def test_nms_leaves_no_overlap_and_drops_nothing_without_cause(table, iou):
    found = detections(*table)

    kept = nms(found, iou, 100)

    assert (np.diff(kept.scores) <= 0).all()
    for i in range(len(kept)):
        for j in range(i):
            if kept.labels[i] == kept.labels[j]:
                assert overlap(kept.boxes[i], kept.boxes[j]) <= iou + 1e-6
    for i in range(len(found)):
        better = (kept.labels == found.labels[i]) & (kept.scores >= found.scores[i])
        overlaps = [overlap(found.boxes[i], box) for box in kept.boxes[better]]
        survived = any(np.array_equal(found.boxes[i], box) for box in kept.boxes[better])
        assert survived or max(overlaps) > iou - 1e-6


def test_nms_returns_the_best_up_to_its_limit():
    found = detections(*[[20 * i, 0, 20 * i + 9, 9, i / 10, 0] for i in range(1, 8)])

    assert nms(found, 0.5, 3).scores == pytest.approx([0.7, 0.6, 0.5])


def test_arrays_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="labels must be int32"):
        Detections(np.zeros((2, 4), np.float32), np.zeros(2, np.float32), np.zeros(2))  # type: ignore[arg-type]  # the point of it
    with pytest.raises(ValueError, match="boxes must be"):
        Detections(np.zeros((3, 4), np.float32), np.zeros(2, np.float32), np.zeros(2, np.int32))


def spec(outputs, **parameters):
    return ModelSpec(
        "yolov5",
        "1",
        Tensor("images", "UINT8", (640, 640, 3)),
        tuple(Tensor(name, "FP32", shape) for name, shape in outputs.items()),
        8,
        ModelParameters(**parameters),
    )


@pytest.mark.parametrize("kind", ["yolov5", "yolov8", "fused"])
def test_a_served_detector_is_understood(kind):
    given = spec({"output0": (9, 9)}, labels="a,b", output=kind)

    assert Head.of(given) == Head(kind, ("a", "b"), (640, 640), "output0")


@pytest.mark.parametrize(
    "parameters", [{"output": "yolov5"}, {"labels": "a"}, {"labels": "a", "output": "logits"}]
)
def test_what_is_no_detector_stops_the_start(parameters):
    with pytest.raises(ModelMismatch, match="cannot be the detector"):
        Head.of(spec({"o": (9, 9)}, **parameters))
