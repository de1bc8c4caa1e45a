"""What the parts count about themselves: the services' metrics, Triton's statistics."""

import asyncio
import re
import urllib.request

import tritonclient.grpc as triton

SAMPLE = re.compile(r"^secondlook_(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def metrics(text: str) -> dict[tuple[str, str], float]:
    """Return the values of a service's metrics by name and labels."""
    return {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}


async def scraped(address: str) -> dict[tuple[str, str], float]:
    """Return what a service counts now."""

    def get() -> str:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return str(answer.read().decode())

    return metrics(await asyncio.to_thread(get))


async def computed(url: str, model: str) -> tuple[int, float]:
    """Return how many requests of a model Triton has answered, and the seconds computed for them.

    Computing is what the backend does with a request (`compute_infer`), without waiting in line
    and without the transport of tensors.
    """

    def ask() -> tuple[int, float]:
        with triton.InferenceServerClient(url) as client:
            [stats] = client.get_inference_statistics(model).model_stats
        spent = stats.inference_stats.compute_infer
        return spent.count, spent.ns / 1e9

    return await asyncio.to_thread(ask)
