"""Takes the second look: crops through Triton, and scores back. Decides nothing."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from classifier_svc.metrics import Metrics
from classifier_svc.pictures import read_crop
from classifier_svc.preprocess import check, decode, fit
from secondlook.adapters.endpoint import Endpoint, Outputs
from secondlook.adapters.slots import Slot
from secondlook.config import Alerts, check_slugs, slug
from secondlook.errors import ConfigError, TritonTimeout, Unreadable
from secondlook.messages import Crop
from secondlook.portion import Portion

Answer = Mapping[str, float] | Unreadable | None
"""Scores by label; why the picture could not be read; None: the model answered no scores."""


class Eye:
    """The classifier's model, ready to be asked.

    Args:
        endpoint: Found fit for use.
        alerts: The labels that must be among the model's.
        metrics: Where calls are counted.
        deadline_s: After which the endpoint gives a call up.

    Raises:
        ConfigError: The model cannot alert with these labels.
        ModelMismatch: Its parameters contradict its input.
    """

    def __init__(
        self, endpoint: Endpoint, alerts: Alerts, metrics: Metrics, deadline_s: float
    ) -> None:
        check(endpoint.spec)
        check_labels(endpoint.spec.parameters.labels or (), alerts)
        self.endpoint = endpoint
        self.portion = Portion(endpoint.batch, deadline_s)
        self._metrics = metrics

    async def look(self, crops: Sequence[Crop]) -> list[Answer]:
        """Return what the model says of each crop; best no more of them than `portion.size`.

        Raises:
            TritonUnavailable: No answer, or not in time.
            ModelError: The model failed.
            ModelMismatch: Another model has taken its place.
        """
        async with self.endpoint.slot() as slot:
            with self._metrics.prepare.time():
                unreadable = await asyncio.to_thread(self._fill, slot.images, crops)
            answers: list[Answer] = [unreadable.get(place) for place in range(len(crops))]
            count = len(crops) - len(unreadable)
            if count == 0:
                return answers
            outputs = await self._asked(slot, count)
        self._metrics.batch.observe(count)
        scores = iter(decode(outputs[self.endpoint.spec.outputs[0].name], self.endpoint.spec))
        return [a if isinstance(a, Unreadable) else next(scores) for a in answers]

    async def _asked(self, slot: Slot, count: int) -> Outputs:
        began_s = time.monotonic()
        try:
            with self._metrics.inference.time():
                outputs = await self.endpoint.infer(slot, count)
        except TritonTimeout:
            self.portion.given_up(count)
            raise
        self.portion.answered(time.monotonic() - began_s)
        return outputs

    def _fill(self, images: NDArray[Any], crops: Sequence[Crop]) -> dict[int, Unreadable]:
        """Put the readable crops side by side; return what is wrong with the others."""
        unreadable: dict[int, Unreadable] = {}
        for place, crop in enumerate(crops):
            try:
                image = read_crop(crop.jpeg, crop.region)
            except Unreadable as error:
                unreadable[place] = error
            else:
                fit(image, self.endpoint.spec, images[place - len(unreadable)])
        return unreadable

    async def probe(self) -> None:
        """Ask the model something, to learn whether it answers.

        Raises:
            TritonUnavailable, ModelError, ModelMismatch: As `look`.
        """
        async with self.endpoint.slot() as slot:
            slot.images[:1] = 0
            await self.endpoint.infer(slot, 1)


def check_labels(labels: Sequence[str], alerts: Alerts) -> None:
    """Refuse alert labels that the model does not have, and labels that share a topic.

    Raises:
        ConfigError: The text names both lists.
    """
    try:
        check_slugs(list(labels))
    except ValueError as error:
        raise ConfigError(f"the classifier's labels cannot be told apart: {error}") from error
    known = [slug(label) for label in labels]
    missing = [label for label in alerts.labels if label not in known]
    if missing:
        raise ConfigError(
            f"alerts.labels: the classifier does not know {', '.join(missing)}; alerts.labels are "
            f"{', '.join(alerts.labels)}, and the model's labels are {', '.join(known)}"
        )
