from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from classifier_svc.eye import Eye, check_labels
from classifier_svc.metrics import Metrics
from secondlook.config import Alerts
from secondlook.errors import ConfigError, ModelMismatch, TritonTimeout, Unreadable
from tests.classifier_svc.test_inbox import crop
from tests.classifier_svc.test_preprocess import spec

LABELS = ["small_gun", "big_gun", "phone"]


def test_alert_labels_must_be_among_the_models() -> None:
    check_labels(LABELS, Alerts())
    check_labels(["Small Gun", "big-gun"], Alerts())
    with pytest.raises(ConfigError) as caught:
        check_labels(LABELS, Alerts(labels=["small_gun", "cannon"]))
    sentence = str(caught.value)
    assert "does not know cannon" in sentence
    assert "small_gun, cannon" in sentence
    assert "small_gun, big_gun, phone" in sentence


def test_labels_that_share_a_topic_are_refused() -> None:
    with pytest.raises(ConfigError, match="small_gun"):
        check_labels(["small gun", "small_gun", "big_gun"], Alerts())


class Model:
    """Answers with the first pixel of each picture, as sure as it is bright."""

    def __init__(self, **given: Any) -> None:
        self.spec = spec(**given)
        self.batch = 4
        self.counts: list[int] = []

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(images=np.zeros((4, 8, 8, 3), np.uint8))

    async def infer(self, slot: Any, count: int) -> dict[str, np.ndarray]:
        self.counts.append(count)
        scores = np.zeros((count, 5), np.float32)
        scores[:, 0] = slot.images[:count, 0, 0, 0] / 255
        scores[scores[:, 0] > 0.99] = np.nan
        return {"scores": scores}


def eye_of(model: Any) -> Eye:
    return Eye(model, Alerts(), Metrics(CollectorRegistry()), 2.0)


def grey(value: int) -> bytes:
    return cv2.imencode(".jpg", np.full((20, 20, 3), value, np.uint8))[1].tobytes()


async def test_each_crop_gets_its_own_answer_whatever_is_wrong_with_its_neighbours() -> None:
    model = Model()
    jpegs = [b"rubbish", grey(51), grey(255), b"", grey(204)][:4]
    answers = await eye_of(model).look([crop(n, jpeg=j) for n, j in enumerate(jpegs)])
    assert isinstance(answers[0], Unreadable)
    assert isinstance(answers[1], dict)
    assert answers[1]["small_gun"] == pytest.approx(0.2, abs=0.01)
    assert answers[2] is None
    assert isinstance(answers[3], Unreadable)
    assert model.counts == [2]


async def test_a_batch_without_a_picture_asks_nobody() -> None:
    model = Model()
    [answer] = await eye_of(model).look([crop(0, jpeg=b"rubbish")])
    assert isinstance(answer, Unreadable)
    assert model.counts == []


def test_a_model_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ModelMismatch):
        eye_of(Model(mean=(1, 2, 3)))


async def test_what_is_not_answered_in_time_is_asked_in_smaller_portions() -> None:
    class Slow(Model):
        async def infer(self, slot: Any, count: int) -> dict[str, np.ndarray]:
            if count > 1:
                raise TritonTimeout("too many")
            return await super().infer(slot, count)

    eye = eye_of(Slow())
    crops = [crop(number, jpeg=grey(51)) for number in range(4)]
    for left in (2, 1):
        with pytest.raises(TritonTimeout):
            await eye.look(crops[: eye.portion.size])
        assert eye.portion.size == left
    await eye.look(crops[: eye.portion.size])
    assert eye.portion.size == 2
