"""Fuzzes one target, guided by coverage: `python -m tests.fuzz TARGET SECONDS FOLDER`.

Begins with the committed corpus and the seeds; new inputs go to FOLDER/corpus, and what broke
it to FOLDER/crashes. With `merge` for SECONDS the fewest of FOLDER's inputs that reach the same
code become the committed corpus. Needs atheris: `make fuzz` installs it.
"""

import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(
    include=["secondlook", "detector_svc", "classifier_svc", "yaml"], enable_loader_override=False
):
    from tests.fuzz.mutate import mutate
    from tests.fuzz.seeds import seeds
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
SLOWEST_S = 10
MEMORY_MB = 3000
LONGEST = 4096
JSON = ("messages", "stores")
WORDS = {
    "config": (
        "cameras", "source", "fps", "zones", "masks", "motion", "password", "!env ", "!file ",
        "<<: *", "&a ", "*a", "- ", ": ", "\\x0a  ", "{", "}", "[", "]", "!!python/name:",
        "!!binary ", "!!timestamp ", "!!set ", "!!omap ", "---", "...", "%YAML 1.1",
        ".inf", ".nan", "1:1", "|",
        "confirm_score", "alerts", "labels", "timezone", "mqtt", "tls", "root", "url", "null",
    ),
    "pictures": (
        "\\xff\\xd8", "\\xff\\xc0", "\\xff\\xc2", "\\xff\\xc4", "\\xff\\xda", "\\xff\\xd9",
        "\\xff\\xfe", "\\xff\\xe0", "\\xff\\xdb", "\\xff\\xdd", "\\xff\\xff", "\\x00\\x11\\x08",
    ),
}  # fmt: skip


def main() -> None:
    """Fuzz until the time is over; leaves with an error where a crash was found."""
    name, seconds, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    # As in the tests: a warning is a mistake that nobody looked at.
    warnings.simplefilter("error")
    committed, begin, found = CORPUS / name, folder / "seeds", folder / "corpus"
    for each in (committed, begin, found, folder / "crashes"):
        each.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (begin / f"seed-{number:03d}").write_bytes(seed)
    flags = [f"-max_len={LONGEST}", f"-timeout={SLOWEST_S}", f"-rss_limit_mb={MEMORY_MB}"]
    # Where libFuzzer starts itself again, it does so by a shell with its first argument.
    command = f"{sys.executable} -m tests.fuzz {name} again {folder}"
    if seconds == "again":
        flags = sys.argv[4:]
    elif seconds == "merge":
        fewest = folder / "fewest"
        fewest.mkdir()
        # How often code is reached does not count: that would keep hundreds of files.
        flags += ["-set_cover_merge=1", "-use_counters=0"]
        flags += map(str, (fewest, committed, found, begin))
    else:
        flags += [
            f"-max_total_time={seconds}",
            f"-artifact_prefix={folder / 'crashes'}/",
            "-print_final_stats=1",
            *_dictionary(name, folder),
            *sys.argv[4:],
            *map(str, (found, committed, begin)),
        ]
    custom = {"custom_mutator": _change} if name in JSON else {}
    atheris.Setup([command, *flags], TARGETS[name], **custom)
    atheris.Fuzz()


def _change(data: bytes, max_size: int, seed: int) -> bytes:
    changed = mutate(data, seed) if seed % 4 else None
    if changed is None:
        changed = bytes(atheris.Mutate(data, max_size))
    return changed[:max_size]


def _dictionary(name: str, folder: Path) -> list[str]:
    if name not in WORDS:
        return []
    words = folder / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS[name]))
    return [f"-dict={words}"]


if __name__ == "__main__":
    main()
