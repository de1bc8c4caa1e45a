"""Everything that fuzzing has found so far, once more; and the fuzzer's seeds."""

from pathlib import Path

import pytest

from tests.fuzz.mutate import mutate
from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
MOST_FILES = 200
MOST_BYTES = 500_000


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_found_is_taken_well(name: str) -> None:
    inputs = sorted((CORPUS / name).iterdir())
    assert inputs

    for path in inputs:
        try:
            TARGETS[name](path.read_bytes())
        except Exception as error:
            error.add_note(f"input: {path}")
            raise


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_and_what_a_few_changes_make_of_them_are_taken_well(name: str) -> None:
    for seed in seeds(name):
        TARGETS[name](seed)
        for number in range(20):
            TARGETS[name](mutate(seed, number) or seed[: len(seed) * number // 20])


def test_a_target_notices_what_must_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.targets.judge", lambda *_: 1 / 0)
    of_a_classifier = next(seed for seed in seeds("model_outputs") if seed[0] == 0)

    with pytest.raises(ZeroDivisionError):
        TARGETS["model_outputs"](of_a_classifier)


def test_the_corpus_stays_small() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]

    assert sum(path.stat().st_size for path in files) < MOST_BYTES
    for folder in CORPUS.iterdir():
        assert len(list(folder.iterdir())) < MOST_FILES
