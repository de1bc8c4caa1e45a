"""`secondlook review`: look over the crops that were kept, and say what they are."""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from secondlook.adapters.review_folder import NOTE, ReviewFolder
from secondlook.commands import options, review_view
from secondlook.commands.lines import count, show
from secondlook.config import slug
from secondlook.config_file import load
from secondlook.errors import SecondLookError
from secondlook.review_set import ALERTS, NO_LABELS, UNSORTED, Kept, is_label

F = TypeVar("F", bound=Callable[..., Any])


def to_set(function: F) -> F:
    """Add the options that say which review set is meant."""
    folder = click.option(
        "--folder",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="A review set other than the one of the configuration.",
    )
    return options.CONFIG(folder(function))


class Review:
    """A review set that is worked on.

    Args:
        config_path: Where the set is said to be.
        folder: Used instead, where given.

    Raises:
        ConfigError: The configuration cannot be used.
        SecondLookError: The folder cannot be read.
    """

    def __init__(self, config_path: Path, folder: Path | None) -> None:
        self._alert_labels: list[str] = []
        if folder is None:
            config = load(config_path)
            self._alert_labels, folder = config.alerts.labels, config.review.folder
        self.folder = ReviewFolder(folder)
        try:
            self.kept = self.folder.scan()
        except OSError as error:
            raise SecondLookError(f"{folder} cannot be read: {error.strerror}") from error

    def labels(self) -> list[str]:
        """Return every label that is known: from folders, alerts and the model's answers."""
        notes = [each.note for each in self.kept if each.note]
        known = {slug(label) for note in notes for label in note.classifier.scores}
        known |= {each.label for each in self.kept if each.label not in NO_LABELS}
        return sorted(known | set(self._alert_labels))

    def find(self, wanted: str) -> Kept:
        """Return the crop with an id, the beginning of one, or the path of its picture.

        Raises:
            SecondLookError: There is none, or more than one.
        """
        name = Path(wanted).name.removesuffix(".jpg")
        found = [each for each in self.kept if name in (each.id, each.stem)]
        found = found or [each for each in self.kept if each.id.startswith(name)]
        if len(found) != 1:
            what = "no crop has" if not found else f"{len(found)} crops have ids that begin with"
            raise SecondLookError(
                f"{what} {wanted}; `secondlook review list --all` shows their ids"
            )
        return found[0]

    def put(self, kept: Kept, label: str) -> None:
        """Give a crop the label that a human says.

        Raises:
            SecondLookError: It could not be moved.
        """
        known = {"labelled_by": "review", "hint": None}
        note = kept.note.model_copy(update=known) if kept.note else None
        try:
            self.folder.move(kept, label, note)
        except FileNotFoundError:
            raise SecondLookError(f"{kept.id} has gone meanwhile: made room, or moved") from None
        except OSError as error:
            raise SecondLookError(f"{kept.id} cannot be moved: {error.strerror}") from error

    def remove(self, kept: Kept) -> None:
        """Delete a crop.

        Raises:
            SecondLookError: It could not be deleted.
        """
        try:
            self.folder.remove(kept)
        except OSError as error:
            raise SecondLookError(f"{kept.id} cannot be deleted: {error.strerror}") from error


@click.group(name="review")
def command() -> None:
    """Look over the crops that were kept, and say what they are.

    With `review.enabled: true` the classifier keeps what it rejected, what it was unsure of, and
    what people said about alerts, in the form that the training of a classifier reads: one folder
    per label. Yesterday's false alarms train tomorrow's model.

    \b
      secondlook review list                        what there is
      secondlook review sort                        give the unsorted ones a label, one by one
      secondlook review relabel ID phone            put one right
      secondlook review export crops/train          add them to what a model is trained with

    Pictures may as well be moved from folder to folder with a file manager.
    """


@command.command(name="list")
@to_set
@click.option("--label", help="Only this one: a label, _unsorted or _alerts.")
@click.option("--camera", help="Only this camera.")
@click.option("--all", "each_one", is_flag=True, help="Every crop in a line, not one per label.")
@click.option("--json", "as_json", is_flag=True, help="Every crop as a line of JSON.")
def list_(
    *,
    config_path: Path,
    folder: Path | None,
    label: str | None,
    camera: str | None,
    each_one: bool,
    as_json: bool,
) -> None:
    """Show how many crops there are of each label, or with --label, --camera or --all each one."""
    review, console = Review(config_path, folder), Console()
    kept = [
        each
        for each in review.kept
        if (label is None or each.label == label)
        and (camera is None or (each.note is not None and each.note.camera == camera))
    ]
    if as_json:
        for each in kept:
            click.echo(review_view.as_json(each, review.folder.picture(each)))
    elif not kept:
        console.print(f"no crops in {review.folder.path}; the classifier keeps them when the "
                      "configuration says review.enabled: true", highlight=False)  # fmt: skip
    elif label or camera or each_one:
        for each in kept:
            show(console, review_view.line(each))
    else:
        console.print(review_view.summary(kept))


@command.command(name="show")
@to_set
@click.argument("crop", metavar="ID")
def show_(config_path: Path, folder: Path | None, crop: str) -> None:
    """Show a crop and what is known of it: where its picture lies, its scores, who labelled it."""
    review, console = Review(config_path, folder), Console()
    kept = review.find(crop)
    review_view.draw(console, review.folder.picture(kept))
    for line in review_view.details(kept, review.folder.picture(kept)):
        show(console, line)


@command.command()
@to_set
@click.option("--new", is_flag=True, help="The label is meant to be a new one.")
@click.argument("crops", nargs=-1, required=True, metavar="ID...")
@click.argument("label")
def relabel(
    config_path: Path, folder: Path | None, new: bool, crops: Sequence[str], label: str
) -> None:
    """Say what crops show; each moves to the folder of that label."""
    review = Review(config_path, folder)
    _check(label, review.labels(), new=new)
    # Found first, so that a slip in the last id moves nothing.
    for kept in [review.find(crop) for crop in crops]:
        review.put(kept, label)
        click.echo(f"{kept.id}: {kept.label} -> {label}")


def _check(label: str, known: Sequence[str], *, new: bool) -> None:
    """Refuse a label that cannot be one, or that looks like a slip.

    Raises:
        SecondLookError: It is refused; the text says why.
    """
    if label == UNSORTED or label in known:
        return
    if not is_label(label) or label.startswith("_"):
        raise SecondLookError(f"{label} cannot be a label: use a-z, 0-9 and _, at most 32 of them")
    if not new:
        near = get_close_matches(label, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise SecondLookError(
            f"there is no label {label}; {hint}Known are {', '.join(known) or 'none'}. "
            "Say --new if it is meant to be a new one"
        )


@command.command()
@to_set
@click.argument("crops", nargs=-1, required=True, metavar="ID...")
def remove(config_path: Path, folder: Path | None, crops: Sequence[str]) -> None:
    """Delete crops."""
    review = Review(config_path, folder)
    for kept in [review.find(crop) for crop in crops]:
        review.remove(kept)
        click.echo(f"{kept.id}: deleted")


@command.command()
@to_set
@click.option("--label", multiple=True, default=(UNSORTED, ALERTS), show_default=True,
              help="Sort these. May be repeated.")  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Open each picture in the desktop's viewer.")
def sort(config_path: Path, folder: Path | None, label: Sequence[str], open_: bool) -> None:
    """Give crops a label, one by one: type its number. Ctrl-C ends; what is done stays done."""
    review, console = Review(config_path, folder), Console()
    crops = [each for each in review.kept if each.label in label]
    labels = review.labels()
    if not labels and crops:
        raise SecondLookError("no label is known; give one with `secondlook review relabel --new`")
    keys = {str(number): each for number, each in enumerate(labels, start=1)}
    menu = "  ".join(f"{number} {each}" for number, each in keys.items())
    sorted_ = 0
    for number, kept in enumerate(crops, start=1):
        console.rule(f"{number} of {len(crops)}")
        picture = review.folder.picture(kept)
        review_view.draw(console, picture)
        for line in review_view.details(kept, picture):
            show(console, line)
        if open_:
            click.launch(str(picture))
        choice = click.prompt(
            f"{menu}  s skip  d delete  q quit\n",
            type=click.Choice([*keys, "s", "d", "q"]),
            show_choices=False,
            default="s",
        )
        if choice == "q":
            break
        if choice == "d":
            review.remove(kept)
        elif choice in keys:
            review.put(kept, keys[choice])
        sorted_ += choice != "s"
    click.echo(f"{sorted_} of {count(crops, 'crop')} sorted")


@command.command()
@to_set
@click.option("--human", is_flag=True, help="Only what a human has labelled.")
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
def export(config_path: Path, folder: Path | None, human: bool, target: Path) -> None:
    """Copy the labelled crops into TARGET, one folder per label, as a training reads them.

    TARGET may hold crops already; none is overwritten. What is not sorted yet is left out.
    """
    review, copied = Review(config_path, folder), Counter[str]()
    for kept in review.kept:
        if kept.label.startswith("_") or (human and not kept.by_human):
            continue
        source = review.folder.picture(kept)
        goal = target / kept.label / source.name
        try:
            goal.parent.mkdir(parents=True, exist_ok=True)
            if goal.exists():
                continue
            shutil.copy2(source, goal)
            if kept.note is not None:
                note = goal.with_name(f"{kept.stem}{NOTE}")
                note.write_bytes(kept.note.encode() + b"\n")
        except OSError as error:
            raise SecondLookError(f"{goal} cannot be written: {error.strerror}") from error
        copied[kept.label] += 1
    click.echo(f"{count(range(copied.total()), 'crop')} copied to {target}")
    for label, number in sorted(copied.items()):
        click.echo(f"  {label}: {number}")
