"""`docs/operations.md` explains every number that the services show."""

import asyncio
import re
import urllib.request
from pathlib import Path

import pytest

from secondlook.local.broker import mosquitto
from tests.chaos.plan import SCENES
from tests.chaos.rig import rigged

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def shown_at(address: str) -> set[str]:
    with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - our own address
        text = answer.read().decode()
    names = re.findall(r"^# TYPE secondlook_(\w+) ", text, re.MULTILINE)
    return {name.removesuffix("_total") for name in names if not name.endswith("_created")}


@pytest.mark.integration
@pytest.mark.timeout(300)
@pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
async def test_the_operations_page_names_every_number(tmp_path: Path) -> None:
    async with rigged(tmp_path, SCENES[0]) as rig:
        shown: set[str] = set()
        for address in rig.stack.metrics.values():
            shown |= await asyncio.to_thread(shown_at, address)
    page = await asyncio.to_thread(PAGE.read_text)
    numbers = page.partition("## Every number")[2]
    rows = re.findall(r"^\| (`.*?) \|", numbers, re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(shown) > 60
    assert shown - explained == set(), "shown and not explained"
    assert explained - shown == set(), "explained and not there"
