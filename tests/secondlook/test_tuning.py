"""What is tried, what is chosen, and how it is written."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as tries
from hypothesis import strategies as st

from secondlook.adapters.model_config import parse_config, read_config
from secondlook.errors import ModelMismatch
from secondlook.local.model_trial import rewritten
from secondlook.tuning import (
    CLASSIFIER_CALLS,
    DELAY,
    MOST,
    Measured,
    Settings,
    Trial,
    automatic,
    candidates,
    changed,
    choose,
    edited,
    late,
    present,
    unsteadiness,
)

SHIPPED = Path(__file__).parents[2] / "model_repository"
CONFIGS = sorted(SHIPPED.glob("*/configs/*.pbtxt"))
ON_CPU = Settings(1, "auto", 4, 1)
HEAD = 'name: "m"\nbackend: "python"\nmax_batch_size: 8\n'

roles = st.sampled_from(["detector", "classifier"])
numbers = st.floats(0.1, 10_000)
measured = st.builds(Measured, numbers, numbers)
trials = st.lists(
    st.builds(
        Trial,
        st.builds(Settings, st.integers(1, 16), st.just("1"), st.just(4), st.just(1)),
        st.lists(measured, max_size=3),
        st.sampled_from([None, None, None, "does not load"]),
    ),
    min_size=1,
    max_size=6,
)


def trial(instances: int, *rounds: tuple[float, float], fault: str | None = None) -> Trial:
    return Trial(Settings(instances, "1", 4, 1), [Measured(*each) for each in rounds], fault)


# --- what is tried ------------------------------------------------------------------------------


@given(st.integers(1, 512), roles)
def test_on_the_processor_nothing_is_tried_that_half_the_cores_or_too_many_would_do(
    cores, role
) -> None:
    now, *others = candidates(ON_CPU, role=role, cores=cores, max_batch=8)

    assert now == ON_CPU
    assert len(others) <= 12
    for each in others:
        assert cores / 2 <= each.instances * int(each.threads or 0) <= cores
        assert each.instances <= (CLASSIFIER_CALLS if role == "classifier" else MOST)
        assert each.batch == now.batch
        if role == "classifier":
            assert each.in_flight == now.in_flight
        else:
            assert 2 * each.instances <= each.in_flight <= 64


@given(st.integers(1, 64), roles)
def test_all_cores_of_a_usual_machine_are_tried(cores, role) -> None:
    found = candidates(ON_CPU, role=role, cores=cores, max_batch=8)

    sizes = [each.instances * int(each.threads or 0) for each in found[1:]]
    assert cores <= 1 or 2 * max(sizes) >= cores or cores > 2 * MOST
    assert len(set(found)) == len(found)


def test_two_cores_are_one_instance_or_two() -> None:
    found = candidates(ON_CPU, role="detector", cores=2, max_batch=8)

    assert [(each.instances, each.threads) for each in found[1:]] == [(1, "1"), (2, "1")]
    assert automatic(1, 2) == 2, "which is what auto means here"


@given(st.integers(0, 64), roles)
def test_elsewhere_instances_and_pictures_of_a_call_are_tried(max_batch, role) -> None:
    now = Settings(4, None, 4, 1)

    found = candidates(now, role=role, cores=16, max_batch=max_batch)

    assert {each.threads for each in found} == {None}
    assert all(each.batch <= max(1, max_batch) for each in found)
    batches = {each.batch for each in found}
    assert (len(batches) > 1) == (role == "detector" and max_batch > 1)


def test_present_settings_are_not_tried_twice() -> None:
    now = Settings(1, "2", 4, 1)

    assert candidates(now, role="detector", cores=2, max_batch=8).count(now) == 1


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
def test_threads_are_a_matter_of_our_runner_alone(path: Path) -> None:
    now = present(read_config(path), in_flight=4, batch=1)

    assert now.instances == (4 if path.stem == "torch" else 1)
    assert now.threads == ("auto" if path.stem == "python" else None)


# --- what is chosen -----------------------------------------------------------------------------


@given(trials)
def test_what_is_chosen_answers_in_time_and_nothing_as_prompt_is_clearly_faster(tried) -> None:
    best = choose(tried)

    usable = [each for each in tried if each.usable]
    assert (best is None) == (not usable)
    if best is None:
        return
    assert best.usable
    assert best.delay_ms <= DELAY * min(each.delay_ms for each in usable)
    prompt = [each for each in usable if not late(each, tried)]
    fastest = max(each.per_s for each in prompt)
    if best is not tried[0]:
        assert best.per_s == fastest
        if tried[0] in prompt:
            assert min(best.gains(tried[0])) > 1


def test_the_fastest_is_taken() -> None:
    assert choose(tried := [trial(1, (10, 20)), trial(2, (14, 25)), trial(4, (12, 20))]) is tried[1]


def test_what_lets_a_single_request_wait_is_not() -> None:
    assert choose(tried := [trial(1, (10, 20)), trial(2, (40, 31))]) is tried[0]


def test_present_settings_that_answer_late_are_left() -> None:
    assert choose(tried := [trial(1, (40, 31)), trial(2, (10, 20))]) is tried[1]


def test_a_hair_is_no_reason_to_change() -> None:
    now = trial(1, (100, 20), (100, 20))

    assert choose([now, trial(2, (102, 20), (102, 20))]) is now
    assert choose([now, trial(2, (150, 20), (99, 20))]) is now, "not in every round"


@given(trials)
def test_a_steady_machine_is_one_and_nothing_measured_is_no_reason_to_complain(tried) -> None:
    times = unsteadiness(tried)

    assert times >= 1
    if all(len(each.rounds) < 2 for each in tried):
        assert times == 1


def test_what_fails_is_never_chosen() -> None:
    assert choose([trial(1, fault="does not load")]) is None
    tried = [trial(1, fault="does not load"), trial(2, (1, 1)), trial(4, (9, 1), fault="away")]
    assert choose(tried) is tried[1]


# --- how it is written --------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: f"{p.parts[-3]}/{p.stem}")
@tries(max_examples=20)
@given(instances=st.integers(1, 99), threads=st.integers(1, 99))
def test_only_instances_and_threads_of_a_shipped_file_change(path, instances, threads) -> None:
    now = present(read_config(path), in_flight=4, batch=1)
    settings = Settings(instances, str(threads) if now.threads else None, 4, 1)
    text = path.read_text()

    new = rewritten(path, settings)

    assert parse_config(new, "new") == changed(parse_config(text, "old"), settings)
    assert present(parse_config(new, "new"), in_flight=4, batch=1) == settings
    old_lines, new_lines = text.splitlines(), new.splitlines()
    assert new_lines[0].startswith("#"), "comments stay"
    differing = [line for line in new_lines if line not in old_lines]
    assert all("instance_group" in line or '"threads"' in line for line in differing)
    assert edited(new, settings) == new


FORMS = [
    "instance_group { count: 3 }",
    "instance_group [\n  {\n    # the card\n    kind: KIND_GPU\n    gpus: 0\n    count : 2\n  }\n]",
    "instance_group [ { kind: KIND_CPU } ]",
    "  instance_group: [ { count: 1 } ]  # more take memory",
    'parameters { key: "threads" value { string_value: "2" } }',
    'parameters: {\n  key: "threads"\n  value: { string_value: "2" }\n}',
    'parameters { key: "other" value: { string_value: "2" } }',
    "# instance_group and threads: as shipped",
    "",
]


@given(st.lists(st.sampled_from(FORMS), max_size=4), st.integers(1, 9), st.booleans())
def test_whatever_the_form_an_edit_changes_nothing_else_or_is_refused(
    tmp_path_factory, parts, count, ends
) -> None:
    text = HEAD + "\n".join(parts) + "\n" * ends
    path = tmp_path_factory.getbasetemp() / "config.pbtxt"
    path.write_text(text)
    settings = Settings(count, "7", 4, 1)

    if len(re.findall(r"instance_group:? [\[{]", text)) > 1:
        with pytest.raises(ModelMismatch, match="cannot be edited safely, it has several groups"):
            rewritten(path, settings)
        return
    new = rewritten(path, settings)
    assert present(parse_config(new, "new"), in_flight=4, batch=1) == settings
    assert new.count("#") == text.count("#")


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ("instance_group [ { count: 1 } ]\ninstance_group [ { count: 2 } ]", "several groups"),
        ("instance_group [ { count: 1 }, { count: 2 } ]", "several groups"),
        ('parameters [ { key: "threads" value: { string_value: "1" } } ]', "place of its own"),
        ("# one [ is missing\ninstance_group [ { # ]\n count: 1 } ]", "unusual form"),
        ("# instance_group\n#instance_group\ninstance_group [ { count: 1 } ] # count: 1", None),
    ],
)
def test_what_cannot_be_edited_safely_is_refused(tmp_path, part, why) -> None:
    path = tmp_path / "config.pbtxt"
    path.write_text(HEAD + part)

    if why is None:
        assert "instance_group [ { count: 2 } ] # count: 1" in rewritten(path, ON_CPU_TWO)
        return
    with pytest.raises(ModelMismatch, match=why):
        rewritten(path, ON_CPU_TWO)
    assert path.read_text() == HEAD + part


ON_CPU_TWO = Settings(2, "2", 4, 1)
