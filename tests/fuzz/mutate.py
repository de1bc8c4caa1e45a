"""Changes inputs in which a line is JSON, so that most of it stays JSON. Knows no fuzzer."""

import json
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, 10**30, -(2**63), 0.5, 1e308, -1e-320,
    "", "a", "front_door", "../x", "\u0000", "\ud7ff", "x" * 2000, "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999999-23:59", "2026-11-22T06:13:20.123Z", 1795328000.123, [], {}, [[]],
    "front_door-01m80y6fxk8e5t7w9x0y1z2a3b", "front_door-01m80y5zq0-17", "aGVsbG8=", "NaN", "ON",
)  # fmt: skip
RAW = (b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"\\ud800"', b'{"a":1,"a":2}', b"[" * 300)


def mutate(data: bytes, seed: int) -> bytes | None:
    """Change one thing in the JSON of an input; None where there is no JSON in it."""
    chance = random.Random(seed)
    lines = data.split(b"\n")
    for place, line in enumerate(lines):
        if not line.startswith((b"{", b"[")):
            continue
        try:
            tree = json.loads(line)
        except (ValueError, RecursionError):
            continue
        holders = list(_holders(tree))
        if not holders:
            return None
        for _ in range(chance.choice((1, 1, 1, 2, 4))):
            holder = chance.choice(holders)
            if holder:
                _change(holder, chance)
        text = json.dumps(tree, separators=(",", ":")).encode()
        if chance.random() < 0.1:
            text = text.replace(chance.choice((b"0", b'"', b"null")), chance.choice(RAW), 1)
        lines[place] = text
        return b"\n".join(lines)
    return None


def _holders(tree: Any) -> list[Any]:
    found, left = [], [tree]
    while left:
        each = left.pop()
        if isinstance(each, dict | list):
            found.append(each)
            left.extend(each.values() if isinstance(each, dict) else each)
    return found


def _change(holder: Any, chance: random.Random) -> None:
    key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    value = holder[key]
    match chance.randrange(6):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(value, int | float):
            holder[key] = value + chance.choice((-1, 1, 0.5, 2**16, 2**40))
        case 2 if isinstance(value, str) and value:
            at = chance.randrange(len(value))
            holder[key] = value[:at] + chr(chance.randrange(1, 300)) + value[at + 1 :]
        case 3 if isinstance(value, str):
            holder[key] = value + chance.choice(("\n", "0", "-", ".1", "z" * 70))
        case 4 if isinstance(holder, dict):
            holder[f"{key}_"] = holder.pop(key)
        case _:
            holder[key] = chance.choice(STRANGE)
