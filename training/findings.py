"""What speaks against a set of crops before it trains. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.crops import Crops
from training.duplicates import Prints, contradictions, fingerprint, near

FEW_CROPS, FEW_RECORDINGS, LOPSIDED = 20, 3, 20
_LISTED = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that speaks against the crops."""

    text: str
    fatal: bool = False
    """Training on them would teach something wrong."""


def of_balance(train: Crops, judge: Crops) -> list[Finding]:
    """Return what is wrong with the numbers of crops and recordings of each label."""
    found = []
    trained, judged = train.balance(), judge.balance()
    for label in train.labels:
        crops, recordings = trained[label]["crops"], trained[label]["recordings"]
        if not crops:
            text = f"no crop of {label} trains: add recordings of it, or lower --judged"
            found.append(Finding(text, fatal=True))
        elif crops < FEW_CROPS or recordings < FEW_RECORDINGS:
            text = f"only {crops} crops of {label} from {recordings} recordings train: add more"
            found.append(Finding(text))
        if not judged[label]["crops"]:
            found.append(Finding(f"no crop of {label} judges: its figures will be missing"))
    most, least = (of(row["crops"] for row in trained.values()) for of in (max, min))
    if least and most / least > LOPSIDED:
        found.append(
            Finding(f"the largest label has {most / least:.0f} times the crops of the smallest")
        )
    if not len(judge):
        text = "no crop judges: raise --judged, add recordings, or give a folder with --judge"
        found.append(Finding(text, fatal=True))
    return found


def prints_of(crops: Crops) -> Prints:
    """Return the fingerprint of each crop, (n, 4)."""
    prints = [fingerprint(image) for image in crops.images]
    return np.array(prints, np.uint64).reshape(len(crops), -1)


def of_duplicates(train: Crops, judge: Crops) -> list[Finding]:
    """Return the pictures that have two labels, and those that stand on both sides or nearly."""
    prints = [prints_of(train), prints_of(judge)]
    paths = [*train.paths, *judge.paths]
    truth = np.concatenate([train.truth, judge.truth]).tolist()
    groups = contradictions(np.concatenate(prints), truth)
    found = []
    if groups:
        rows = [" = ".join(str(paths[index]) for index in group) for group in groups]
        text = f"{len(groups)} pictures have more than one label, decide for one:"
        found.append(Finding(_listed(text, rows), fatal=True))
    pairs = near(*prints)
    if pairs:
        rows = [f"{train.paths[a]} ~ {judge.paths[b]} ({off} of 256 bits)" for a, b, off in pairs]
        text = f"{len(pairs)} of {len(judge)} judging pictures have a near double that trains:"
        found.append(Finding(_listed(text, rows)))
    return found


def _listed(text: str, rows: Sequence[str]) -> str:
    more = [f"and {len(rows) - _LISTED} more"] if len(rows) > _LISTED else []
    return "\n  ".join([text, *rows[:_LISTED], *more])
