"""Whether a run keeps the design's targets, and what makes its figures doubtful. Pure."""

from pathlib import Path

from training.evaluate.measures import Figures, Measures, frames, losses, removal
from training.evaluate.statistics import Share
from training.evaluate.words import bounds, counts, many, number, percent, some
from training.evaluate.words import losses as lost_words


def warnings(measures: Measures) -> list[str]:
    """Return what makes the figures doubtful."""
    said = []
    lost = frames(measures)
    if not measures.run.complete:
        said.append("Ended early: this is about what was played until then.")
    if lost.part:
        causes = measures.run.finished.lost if measures.run.finished else {}
        died = any(cause.startswith("restarts of") for cause in causes)
        why = "a part of the stack died" if died else "this machine could not keep up"
        said.append(
            f"{percent(lost.value)} of the frames ({counts(lost)}) were never looked at, because "
            f"{why} ({lost_words(causes)}): the figures are worse than the models are. "
            + ("Play again." if died else "Play fewer clips at once, or without --realtime.")
        )
    started = measures.run.started
    if started.min_score < started.operating_point:
        said.append(
            f"Played with min_score {started.min_score:g}, below the operating point "
            f"{started.operating_point:g}: the figures are of what came at the lower threshold. "
            "The marked rows and dashed lines show the operating point."
        )
    without = [Path(m.clip.played.path).name for m in measures.materials if not m.clip.played.truth]
    if without:
        said.append(f"No truth beside {some(without)}: taken as showing nothing that may alert.")
    by_time = [Path(m.clip.played.path).name for m in measures.materials if not m.things.exact]
    if by_time:
        said.append(
            f"The truth of {some(by_time)} says when, and not where: crops are matched by time "
            f"alone; {measures.unclear} crops with several things in view are left out."
        )
    if measures.replay_agrees.part < measures.replay_agrees.whole:
        said.append(
            f"A replay of the thresholds in force raises what arrived in only "
            f"{counts(measures.replay_agrees)} clips: the curves are approximate."
        )
    return said


def targets(measures: Measures, found: Figures) -> list[tuple[str, str, str, str, bool | None]]:
    """Return the design's targets: name, target, value, counts, and whether it is met."""
    episodes = Share(int(found["found"] or 0), int(found["episodes"] or 0))
    alerts = sum(len(t.outcome.alarms) + len(t.outcome.mislabelled) for t in measures.told)
    alerted = sum(bool(t.outcome.alarms or t.outcome.mislabelled) for t in measures.told)
    again = int(found["found_by_reopening"] or 0)
    opened = f"; {again} of them opened again in the cooldown" if again else ""
    delays = [t.delay_s for t in measures.told if t.delay_s is not None]
    removed, lost = removal(measures), losses(measures)

    def met(value: float | None, limit: float, sign: int) -> bool | None:
        return None if value is None else (value - limit) * sign >= 0

    new, delay = found["new_per_episode"], found["delay_p50_s"]
    return [
        ("Episodes found", "≥ 98 %", percent(episodes.value),
         bounds(episodes) + opened, met(episodes.value, 0.98, 1)),
        ("False crops removed by the second look", "≥ 90 %", percent(removed.value),
         bounds(removed), met(removed.value, 0.90, 1)),
        ("Episodes lost to the second look", "≤ 2 %", percent(lost.value), bounds(lost),
         met(lost.value, 0.02, -1)),
        ("Alerts per episode", "≤ 1.05", number(new), f"{alerts} for {many(alerted, 'episode')}",
         met(new, 1.05, -1)),
        ("Alarm delay, median", "≤ 0.5 s", number(delay, " s"),
         many(len(delays), "alert") if delays else "only --realtime tells", met(delay, 0.5, -1)),
    ]  # fmt: skip
