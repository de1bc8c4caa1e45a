"""The client against a real Triton that stays up."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from secondlook.adapters import slots
from secondlook.adapters.endpoint import Endpoint
from secondlook.adapters.triton import Triton
from secondlook.errors import ConfigError, ModelError, ModelMismatch, TritonTimeout
from secondlook.local.tritonserver import Server
from secondlook.model_spec import ModelParameters

pytestmark = pytest.mark.integration

Sharing = Literal["auto", "on", "off"]


@asynccontextmanager
async def connected(
    server: Server, *, deadline_s: float = 10.0, shared_memory: Sharing = "on"
) -> AsyncIterator[Triton]:
    async with Triton(server.url, deadline_s=deadline_s, shared_memory=shared_memory) as triton:
        yield triton


async def answer(endpoint: Endpoint, *values: float) -> NDArray[Any]:
    """Send pictures, each all of one value; the answers are filled with these values."""
    async with endpoint.slot() as slot:
        for number, value in enumerate(values):
            slot.images[number] = value
        outputs = await endpoint.infer(slot, len(values))
    return next(iter(outputs.values()))


def is_of(given: NDArray[Any], value: float) -> bool:
    """Tell whether an answer is wholly that of a picture of one value."""
    return bool((given[..., :-1] == value).all() and (given[..., -1] == 0).all())


def own_regions() -> set[str]:
    """Return the names of this process's regions: those it holds open, and has not removed."""
    names = set()
    for number in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            names.add(number.readlink().name)
    return {name for name in names if name.startswith(slots.PREFIX) and " " not in name}


@pytest.mark.parametrize("shared_memory", ["on", "off"])
@pytest.mark.parametrize(
    ("model", "batch"),
    [
        ("uint8_nhwc", 8),
        ("uint8_nchw", 8),
        ("fp32_nhwc_one", 1),
        ("fp32_nchw", 8),
        ("fp16_nhwc", 8),
        ("no_batch", 1),
        ("batch_in_shape", 1),
        ("free_output", 8),
    ],
)
async def test_every_kind_of_input_gets_its_own_answers(
    triton_server: Server, model: str, batch: int, shared_memory: Sharing
) -> None:
    async with connected(triton_server, shared_memory=shared_memory) as triton:
        endpoint = await triton.model(model)
        await endpoint.check()

        answers = await answer(endpoint, *range(1, batch + 1))

    assert endpoint.batch == batch
    assert answers.shape == (batch, 4)
    assert all(is_of(answers[n], n + 1) for n in range(batch))
    assert triton.stats.shared_memory is (shared_memory == "on")
    assert triton.stats.shared_calls == (2 if shared_memory == "on" else 0)


async def test_a_model_is_described_as_its_config_and_the_overrides_say(
    triton_server: Server,
) -> None:
    overrides = ModelParameters(channels="bgr", min_score=0.3)
    async with connected(triton_server) as triton:
        endpoint = await triton.model("uint8_nchw", overrides=overrides, batch=2)

    spec = endpoint.spec
    assert (spec.name, spec.version, spec.max_batch_size) == ("uint8_nchw", "1", 8)
    assert (spec.input.datatype, spec.layout, spec.input_size) == ("UINT8", "nchw", (8, 8))
    assert spec.parameters.channels == "bgr"
    assert spec.parameters.value_range == "0..255"
    assert spec.parameters.labels == ("label_0", "label_1", "label_2", "label_3")
    assert endpoint.batch == 2


async def test_answers_are_equal_through_shared_memory_and_inside_requests(
    triton_server: Server,
) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (256, 256, 3), np.uint8)
    found = []
    for shared_memory in ("on", "off"):
        async with connected(triton_server, shared_memory=shared_memory) as triton:
            endpoint = await triton.model("large")
            async with endpoint.slot() as slot:
                slot.images[0] = picture
                found.append((await endpoint.infer(slot, 1))["scores"])

    np.testing.assert_array_equal(found[0], found[1])


async def test_answers_outlive_their_slot(triton_server: Server) -> None:
    async with connected(triton_server) as triton:
        endpoint = await triton.model("large", in_flight=1)
        first = await answer(endpoint, 7)
        await answer(endpoint, 9)

    assert is_of(first[0], 7)


@pytest.mark.parametrize("shared_memory", ["on", "off"])
async def test_calls_that_run_together_never_share_answers(
    triton_server: Server, shared_memory: Sharing
) -> None:
    async with connected(triton_server, shared_memory=shared_memory) as triton:
        endpoint = await triton.model("large", in_flight=8, batch=2)
        values = [n % 256 for n in range(200)]

        answers = await asyncio.gather(*(answer(endpoint, v, 255 - v) for v in values))

    assert all(
        is_of(a[0], v) and is_of(a[1], 255 - v) for a, v in zip(answers, values, strict=True)
    )


async def test_results_never_mix_when_calls_time_out(triton_server: Server) -> None:
    """A picture above 150 takes longer than the deadline, and is answered into its slot later."""
    async with connected(triton_server, deadline_s=0.3) as triton:
        endpoint = await triton.model("slow", in_flight=3)
        values = [200 if n % 5 == 2 else n % 100 for n in range(60)]

        answers = await asyncio.gather(
            *(answer(endpoint, v, v) for v in values), return_exceptions=True
        )
        # Late answers arrive: none may fall into a slot that is in use again.
        await patient_answer(endpoint, 0)
        more = [await patient_answer(endpoint, v, v) for v in range(20)]

        in_time = {v: a for a, v in zip(answers, values, strict=True) if isinstance(a, np.ndarray)}
        assert in_time
        assert all(is_of(a, v) and v < 150 for v, a in in_time.items())
        assert all(is_of(a, v) for v, a in enumerate(more))
        late = [a for a in answers if not isinstance(a, np.ndarray)]
        assert all(isinstance(a, TritonTimeout) for a in late)
        assert triton.stats.retired > 0
        assert triton.stats.timeouts >= triton.stats.retired
        assert await triton.ready()


async def patient_answer(endpoint: Endpoint, *values: float) -> NDArray[Any]:
    """Ask until an answer comes in time: of a busy server, or one that has to catch up."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await answer(endpoint, *values)
            except TritonTimeout:
                await asyncio.sleep(0.1)


async def test_a_retired_slot_is_refused_and_its_memory_is_given_up(triton_server: Server) -> None:
    async with connected(triton_server, deadline_s=0.2) as triton:
        endpoint = await triton.model("slow", in_flight=1)
        async with endpoint.slot() as slot:
            slot.images[:] = 200
            with pytest.raises(TritonTimeout, match=r"did not answer for 'slow' within 0\.2 s"):
                await endpoint.infer(slot, 1)
            assert slot.region is not None
            assert not (slots.SHARED / slot.region.name).exists()
            with pytest.raises(ValueError, match="retired"):
                await endpoint.infer(slot, 1)
        await patient_answer(endpoint, 0)
        async with endpoint.slot() as other:
            assert other is not slot


async def test_a_caller_that_is_cancelled_retires_its_slot(triton_server: Server) -> None:
    async with connected(triton_server) as triton:
        endpoint = await triton.model("slow", in_flight=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await answer(endpoint, 200)

        assert is_of(await answer(endpoint, 3), 3)
        assert triton.stats.retired == 1


async def test_a_slot_is_not_used_again_when_its_filling_was_cancelled(
    triton_server: Server,
) -> None:
    async with connected(triton_server) as triton:
        endpoint = await triton.model("uint8_nhwc", in_flight=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1), endpoint.slot() as slot:
                await asyncio.sleep(60)

        async with endpoint.slot() as other:
            assert other is not slot
            assert not np.shares_memory(other.images, slot.images)
        assert is_of((await answer(endpoint, 3))[0], 3)


async def test_nothing_is_left_behind_after_closing(triton_server: Server) -> None:
    before = own_regions()
    async with connected(triton_server) as triton:
        endpoint = await triton.model("large", in_flight=3)
        await asyncio.gather(*(answer(endpoint, v) for v in range(9)))
        names = own_regions() - before
        assert 1 <= len(names) <= 3
        status = await triton._client.get_system_shared_memory_status(as_json=True)
        assert names <= set(status["regions"])

    async with connected(triton_server) as triton:
        status = await triton._client.get_system_shared_memory_status(as_json=True)
        assert not names & set(status.get("regions", {}))
    assert own_regions() == before
    assert not any((slots.SHARED / name).exists() for name in names)


async def test_pictures_travel_inside_requests_where_memory_is_not_shared(
    triton_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "SHARED", tmp_path)
    async with connected(triton_server, shared_memory="auto") as triton:
        endpoint = await triton.model("uint8_nhwc")

        assert is_of(await answer(endpoint, 5), 5)
        assert not triton.stats.shared_memory
        assert not slots.remove_leftovers()
        assert not any(name for name in own_regions() if (tmp_path / name).exists())


async def test_demanding_shared_memory_that_triton_cannot_see_stops_the_start(
    triton_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "SHARED", tmp_path)
    async with connected(triton_server, shared_memory="on") as triton:
        with pytest.raises(ConfigError, match=r"shared_memory is `on`.*set it to `auto`"):
            await triton.model("uint8_nhwc")


async def test_without_room_in_shared_memory_pictures_travel_inside_requests(
    triton_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(triton_server, shared_memory="auto") as triton:
        endpoint = await triton.model("uint8_nhwc")

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "posix_fallocate", full)
        assert is_of(await answer(endpoint, 5), 5)
        assert own_regions() == set()


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("nowhere", r"has no model 'nowhere'; it has .*large, mean"),
        ("never_loads", r"could not load the model 'never_loads': .*this model never loads$"),
        ("no_file", r"could not load the model 'no_file': .*model\.onnx is missing$"),
        ("other_names", r"names the outputs points, model\.onnx has scores$"),
        ("no_parameters", r"nothing says its labels, output, channels, value_range, resize; add"),
        ("too_few_labels", r"2 labels needs one .*shape \[2\]; it has scores FP32 \[4\]"),
        ("two_inputs", r"exactly one input, the picture; its inputs: images, more"),
        ("no_picture", r"shape \[8, 8\]; a picture has three axes"),
        ("free_size", r"shape \[-1, -1, 3\].*fixed height and width"),
        ("four_channels", r"shape \[8, 8, 4\].*three channels"),
        ("integers", r"'images' is INT64; only UINT8, FP32, FP16"),
        ("bad_parameter", r"parameters in its config\.pbtxt are not valid: channels: Input"),
    ],
)
async def test_a_model_that_cannot_be_used_is_named_in_a_sentence(
    triton_server: Server, model: str, sentence: str
) -> None:
    async with connected(triton_server) as triton:
        with pytest.raises(ModelMismatch, match=sentence) as caught:
            await triton.model(model)

    assert "\n" not in str(caught.value)


async def test_a_version_that_is_not_there_is_named(triton_server: Server) -> None:
    async with connected(triton_server) as triton:
        with pytest.raises(ModelMismatch, match="has no model 'mean' version 7"):
            await triton.model("mean", version="7")


async def test_a_model_for_something_else_is_refused(triton_server: Server) -> None:
    async with connected(triton_server) as triton:
        with pytest.raises(ModelMismatch, match="with yolov5 or yolov8 or fused is needed"):
            await triton.model("mean", answers="boxes")


@pytest.mark.parametrize("shared_memory", ["on", "off"])
@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ("nan", "no numbers"),
        ("empty", "cannot judge a known picture.*scores"),
        ("wide", "wrong answers.*|cannot judge.*"),
        ("fails", "cannot judge a known picture.*this model always fails"),
        ("not_probabilities", r"says probabilities, but its scores reach .*\(logits\?\)"),
    ],
)
async def test_a_model_with_wrong_answers_is_refused_at_the_start(
    triton_server: Server, model: str, sentence: str, shared_memory: Sharing
) -> None:
    async with connected(triton_server, shared_memory=shared_memory) as triton:
        endpoint = await triton.model(model)
        with pytest.raises(ModelMismatch, match=sentence):
            await endpoint.check()


async def test_a_model_that_fails_says_so_and_the_next_call_works(triton_server: Server) -> None:
    async with connected(triton_server) as triton:
        failing = await triton.model("fails", in_flight=1)
        working = await triton.model("uint8_nhwc", in_flight=1)
        for _ in range(3):
            with pytest.raises(ModelError, match="this model always fails"):
                await answer(failing, 1)

        assert is_of(await answer(working, 2), 2)
        assert triton.stats.failed == 3


@pytest.mark.parametrize("shared_memory", ["on", "off"])
async def test_the_runner_of_the_models_answers_each_of_a_batch(
    triton_server: Server, shared_memory: Sharing
) -> None:
    async with connected(triton_server, shared_memory=shared_memory) as triton:
        endpoint = await triton.model("mean", in_flight=16)
        await endpoint.check()

        async def colours(value: int) -> NDArray[Any]:
            async with endpoint.slot() as slot:
                slot.images[:2] = value, value + 1, value + 2
                slot.images[1] += 100
                return (await endpoint.infer(slot, 2))["scores"]

        answers = await asyncio.gather(*(colours(v) for v in range(100)))

    for value, given in enumerate(answers):
        first = np.array([value, value + 1, value + 2], np.float32)
        np.testing.assert_allclose(given, [first, first + 100], rtol=1e-6)
