"""What the parts count about themselves: the services' metrics, Triton's statistics."""

import asyncio
import re
import urllib.request

import tritonclient.grpc as triton

Counts = dict[tuple[str, str], float]
"""Values of metrics by name, without `secondlook_`, and labels."""
SAMPLE = re.compile(r"^secondlook_(\w+?)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def metrics(text: str) -> Counts:
    """Return the values of a service's metrics by name and labels."""
    return {(name, labels): float(value) for name, labels, value in SAMPLE.findall(text)}


async def scraped(address: str) -> Counts:
    """Return what a service counts now."""

    def get() -> str:
        with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - our own loopback address
            return str(answer.read().decode())

    return metrics(await asyncio.to_thread(get))


def means_ms(before: Counts, after: Counts) -> dict[str, float]:
    """Return the mean of each histogram over the time between, in milliseconds, by its name."""
    found = {}
    for (name, labels), value in after.items():
        count = value - before.get((name, labels), 0.0)
        total = name.removesuffix("_count") + "_sum"
        if name.endswith("_seconds_count") and count and (total, labels) in after:
            spent = after[total, labels] - before.get((total, labels), 0.0)
            found[f"{name.removesuffix('_seconds_count')} {labels}".strip()] = 1000 * spent / count
    return found


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
