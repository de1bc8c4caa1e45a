import cv2
import numpy as np

from training.duplicates import contradictions, fingerprint, near, same


def picture(seed: int, side: int = 120) -> np.ndarray:
    """Return something with large shapes, as crops have."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def repacked(image: np.ndarray) -> np.ndarray:
    smaller = cv2.resize(image, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    brighter = cv2.convertScaleAbs(smaller, alpha=0.9, beta=12)
    packed = cv2.imencode(".jpg", brighter, [cv2.IMWRITE_JPEG_QUALITY, 60])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))


def prints(*images: np.ndarray) -> np.ndarray:
    return np.array([fingerprint(image) for image in images])


def test_a_copy_has_the_same_fingerprint() -> None:
    assert same(prints(picture(1), picture(2), picture(1), picture(3))) == [[0, 2]]


def test_a_smaller_brighter_compressed_copy_is_near_and_other_pictures_are_far() -> None:
    train = prints(*(picture(seed) for seed in range(40)))
    judge = prints(repacked(picture(7)), picture(99))
    ((trains, judges, bits),) = near(train, judge)
    assert (trains, judges) == (7, 0)
    assert bits <= 10


def test_flat_pictures_resemble_nothing() -> None:
    flat = np.full((60, 60, 3), 90, np.uint8)
    found = prints(flat, flat)
    assert same(found) == []
    assert near(found, found) == []


def test_a_mirrored_picture_is_another() -> None:
    assert near(prints(picture(5)), prints(picture(5)[:, ::-1])) == []


def test_only_copies_with_different_labels_contradict() -> None:
    found = prints(picture(1), picture(1), picture(2), picture(2), picture(3))
    assert contradictions(found, [0, 1, 1, 1, 0]) == [[0, 1]]


def test_nothing_to_compare_with_is_near_nothing() -> None:
    assert near(np.zeros((0, 4), np.uint64), prints(picture(1))) == []
