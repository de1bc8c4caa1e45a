import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from secondlook.adapters.review_folder import ReviewFolder
from secondlook.cli import main
from secondlook.commands.review_view import draw
from secondlook.review_set import ALERTS, UNSORTED, stem_of
from tests.secondlook.review_notes import crop, jpeg, note


@pytest.fixture
def folder(tmp_path: Path) -> ReviewFolder:
    made = ReviewFolder(tmp_path / "review")
    for number, label in ((1, "phone"), (2, UNSORTED), (3, ALERTS), (11, "phone")):
        made.add(label, stem_of(crop(number)), jpeg(number), note(number))
    return made


def call(folder: ReviewFolder, *words: str, typed: str = "") -> Result:
    name, *rest = words
    return CliRunner().invoke(
        main, ["review", name, "--folder", str(folder.path), *rest], input=typed
    )


def labels(folder: ReviewFolder) -> dict[str, str]:
    return {each.id: each.label for each in folder.scan()}


def test_the_list_counts_each_label(folder: ReviewFolder) -> None:
    rows = [line.split() for line in call(folder, "list").output.splitlines()]
    assert [row[1:6:2] for row in rows if "phone" in row] == [["phone", "2", "0"]]


def test_one_label_is_listed_crop_by_crop(folder: ReviewFolder) -> None:
    output = call(folder, "list", "--label", "phone").output
    assert [line.split()[0] for line in output.splitlines()] == ["yard-1.1", "yard-1.11"]
    assert call(folder, "list", "--camera", "nowhere").output.startswith("no crops")


def test_json_has_everything_that_is_known(folder: ReviewFolder) -> None:
    lines = [json.loads(line) for line in call(folder, "list", "--json").output.splitlines()]
    assert {line["id"] for line in lines} == set(labels(folder))
    assert all(Path(line["picture"]).is_file() for line in lines)
    assert lines[0]["note"]["schema"] == "secondlook/reviewed/1"


def test_show_tells_where_the_picture_is_and_what_was_said(folder: ReviewFolder) -> None:
    output = call(folder, "show", "yard-1.2").output
    assert f"{UNSORTED}/yard-20261122t06__yard-1.2.jpg" in output
    assert "phone 0.60" in output


def test_relabelled_crops_move_and_are_a_humans(folder: ReviewFolder) -> None:
    picture = folder.path / ALERTS / "yard-20261122t06__yard-1.3.jpg"
    result = call(folder, "relabel", "yard-1.2", str(picture), "umbrella")
    assert result.exit_code == 0
    assert labels(folder)["yard-1.2"] == labels(folder)["yard-1.3"] == "umbrella"
    assert {each.id for each in folder.scan() if each.by_human} == {"yard-1.2", "yard-1.3"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["yard-1.2", "umbrela"], "did you mean umbrella?"),
        (["yard-1.2", "../etc"], "cannot be a label"),
        (["yard-1.2", "_mine"], "cannot be a label"),
        (["yard-1.2", "yard-1.9", "phone"], "no crop has yard-1.9"),
        (["yard-1", "phone"], "4 crops have ids that begin with yard-1"),
    ],
)
def test_a_slip_is_refused_in_a_sentence_and_nothing_moves(
    folder: ReviewFolder, words: list[str], says: str
) -> None:
    before = labels(folder)
    result = call(folder, "relabel", *words)
    assert result.exit_code == 1
    assert says in result.output
    assert labels(folder) == before


def test_a_new_label_has_to_be_meant(folder: ReviewFolder) -> None:
    assert call(folder, "relabel", "yard-1.2", "knife").exit_code == 1
    assert call(folder, "relabel", "--new", "yard-1.2", "knife").exit_code == 0
    assert labels(folder)["yard-1.2"] == "knife"


def test_sorting_goes_through_the_unsorted_one_by_one(folder: ReviewFolder) -> None:
    # big_gun empty phone small_gun umbrella
    result = call(folder, "sort", typed="3\nd\n")
    assert "2 of 2 crops sorted" in result.output
    assert labels(folder) == {"yard-1.1": "phone", "yard-1.2": "phone", "yard-1.11": "phone"}


def test_sorting_can_be_left_and_taken_up_again(folder: ReviewFolder) -> None:
    assert "1 of 2 crops sorted" in call(folder, "sort", typed="5\nq\n").output
    assert labels(folder)["yard-1.2"] == "umbrella"
    assert "0 of 1 crop sorted" in call(folder, "sort", typed="s\n").output


def test_removed_crops_are_gone(folder: ReviewFolder) -> None:
    assert call(folder, "remove", "yard-1.1", "yard-1.3").exit_code == 0
    assert set(labels(folder)) == {"yard-1.2", "yard-1.11"}


def test_the_labelled_ones_are_exported_as_a_training_reads_them(
    folder: ReviewFolder, tmp_path: Path
) -> None:
    target = tmp_path / "crops"
    mine = target / "phone" / "yard-20261122t06__yard-1.1.jpg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert "1 crop copied" in call(folder, "export", str(target)).output
    assert mine.read_bytes() == b"mine"
    assert sorted(path.name for path in target.rglob("*.jpg")) == [
        "yard-20261122t06__yard-1.1.jpg", "yard-20261122t06__yard-1.11.jpg"
    ]  # fmt: skip
    assert not (target / UNSORTED).exists()


def test_only_what_a_human_said_can_be_exported(folder: ReviewFolder, tmp_path: Path) -> None:
    call(folder, "relabel", "yard-1.2", "umbrella")
    call(folder, "export", "--human", str(tmp_path / "crops"))
    assert [path.parent.name for path in (tmp_path / "crops").rglob("*.jpg")] == ["umbrella"]


def test_an_empty_set_says_how_to_fill_it(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("cameras:\n  yard:\n    source: 'synthetic:'\n")
    result = CliRunner().invoke(main, ["review", "list", "--config", str(config)])
    assert result.exit_code == 0
    assert "review.enabled: true" in " ".join(result.output.split())


def test_a_terminal_with_colours_shows_the_picture(folder: ReviewFolder) -> None:
    console = Console(force_terminal=True, color_system="truecolor")
    with console.capture() as captured:
        draw(console, folder.picture(folder.scan()[0]))
    lines = captured.get().splitlines()
    assert len(lines) == 25
    assert all(line.count("▀") == 56 for line in lines)
