"""What a look at a machine finds. Pure."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "lacking", "missing"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    """`lacking`: works without, less well. `missing`: nothing works without."""
    what: str
    advice: str = ""
