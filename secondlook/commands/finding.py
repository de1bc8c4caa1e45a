"""What a look at a machine, or at a running system, finds. Pure."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "lacking", "missing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    """Of a machine: `lacking`: works without, less well; `missing`: nothing works without. Of a
    running system: `note`: worth knowing; `wrong`: it does not do what it is for."""
    what: str
    advice: str = ""
