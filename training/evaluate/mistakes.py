"""The worst mistakes of a run, as small pictures. Reads crops and clips."""

from pathlib import Path

from training.evaluate import thumbnails
from training.evaluate.matching import Alarm
from training.evaluate.measures import Measures, Seen, Told
from training.evaluate.page import Block, Gallery, Thumbnail
from training.evaluate.run import Clip

MOST_SHOWN = 12


def mistakes(measures: Measures, folder: Path) -> list[Block]:
    """Return galleries of missed episodes, false alarms, and false crops that nearly alerted."""
    missed = [told for told in measures.told if not told.found]
    false = [seen for seen in measures.seen if not seen.should_alert]
    worst = sorted(false, key=lambda seen: -seen.alert_score)[:MOST_SHOWN]
    alarms = measures.false_alarms
    return [
        Gallery(
            f"Missed episodes ({len(missed)})",
            [_missed(measures, told, folder) for told in missed[:MOST_SHOWN]],
            "Each with the crop of it that came closest, or as the clip shows it where the "
            "detector found nothing.",
        ),
        Gallery(
            f"False alarms ({len(alarms)})",
            [_false_alarm(measures, clip, alarm, folder) for clip, alarm in alarms[:MOST_SHOWN]],
        ),
        Gallery(
            "False crops that look most like an alert",
            [false_crop(seen, folder) for seen in worst],
            f"The first {len(worst)} of {len(false)}, by the best score of an alert label.",
        ),
    ]


def _missed(measures: Measures, told: Told, folder: Path) -> Thumbnail:
    episode, name = told.outcome.episode, Path(told.clip.played.path).name
    caption = f"{episode.label} {episode.card}".strip()
    when = f"{name}, {episode.start_s:.1f} to {episode.end_s:.1f} s"
    ours = [
        seen
        for seen in measures.seen
        if seen.clip is told.clip and seen.shown.thing == told.outcome.thing
    ]
    if ours:
        best = max(ours, key=lambda seen: seen.alert_score)
        said = best.look.verdict
        detail = f"{when}. {len(ours)} crops, best: {said.label} {said.score:.2f}, {said.outcome}."
        return Thumbnail(thumbnails.of_file(folder / best.look.picture), caption, detail)
    middle_s = (episode.start_s + episode.end_s) / 2
    frame = round(middle_s * told.clip.truth.fps)
    near = min(episode.boxes, key=lambda at: abs(at[0] - frame), default=None)
    box = None if near is None else (near[1], near[2], near[3], near[4])
    uri = thumbnails.of_clip(Path(told.clip.played.path), middle_s, box)
    return Thumbnail(uri, caption, f"{when}. No crop: the detector did not find it.")


def _false_alarm(measures: Measures, clip: Clip, alarm: Alarm, folder: Path) -> Thumbnail:
    shown = next(
        (
            seen
            for seen in measures.seen
            if seen.clip is clip
            and seen.look.crop.box == alarm.box
            and seen.look.at_s == alarm.at_s
        ),
        None,
    )
    truth = f" It shows: {shown.shown.label}." if shown else ""
    return Thumbnail(
        thumbnails.of_file(folder / shown.look.picture) if shown else "",
        alarm.label,
        f"{Path(clip.played.path).name}, {alarm.at_s:.1f} s.{truth}",
    )


def false_crop(seen: Seen, folder: Path) -> Thumbnail:
    """Return a crop that shows nothing that should alert, and what was said of it."""
    said, name = seen.look.verdict, Path(seen.clip.played.path).name
    place = round(seen.look.at_s * seen.clip.played.fps)
    where = (
        seen.clip.played.files[place]
        if place < len(seen.clip.played.files)
        else f"{name}, {seen.look.at_s:.1f} s"
    )
    return Thumbnail(
        thumbnails.of_file(folder / seen.look.picture),
        f"{said.label} {said.score:.2f}, {said.outcome}",
        f"{seen.shown.label}, found with {seen.look.crop.detector.score:.2f}; {where}",
    )
