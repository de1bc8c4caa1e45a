"""Recorded runs for tests, written by hand: frames, crops, verdicts and alerts of made-up clips."""

from secondlook.config import Alerts
from secondlook.evaluation.record import (
    Alerted,
    Announced,
    Cropped,
    Finished,
    Judged,
    Labelled,
    Line,
    Marked,
    Played,
    Started,
)
from secondlook.local.truth import Truth
from secondlook.messages import (
    Alert,
    Box,
    Classified,
    Crop,
    Decision,
    Detected,
    FrameFacts,
    FrameRef,
    Latency,
    Seen,
    TrackEnded,
    Verdict,
)
from secondlook.model_spec import ModelParameters
from training.evaluate.run import Run, assemble

LABELS = ("small_gun", "big_gun", "phone", "umbrella", "empty")
START_NS = 1_795_328_000_000_000_000
FPS = 10
HERE = (100, 100, 200, 200)
THERE = (600, 300, 700, 400)


def box(corners):
    x1, y1, x2, y2 = corners
    return Box(x1=x1, y1=y1, x2=x2, y2=y2)


def frame(index, camera="yard", slow=1.0):
    """Frame `index`; `slow` times slower than real time by the clock on the wall."""
    captured_ns = START_NS + round(index * slow * 1e9 / FPS)
    return FrameRef(
        id=f"{camera}-{captured_ns}",
        camera=camera,
        run="r1",
        sequence=index,
        captured_ns=captured_ns,
        media_ns=round(index * 1e9 / FPS),
        width=1280,
        height=720,
    )


def scores(label, score):
    rest = (1 - score) / (len(LABELS) - 1)
    return {each: score if each == label else rest for each in LABELS}


class Recording:
    """Writes a record as a run would."""

    def __init__(self, mode="fast", min_score=0.25, operating_point=0.25, **rule):
        started = Started(
            version="1",
            at="2026-11-23T09:00:00.000Z",
            machine="a machine",
            mode=mode,
            parallel=1,
            alerts=Alerts(**rule),
            relook_s=1.0,
            min_score=min_score,
            operating_point=operating_point,
            detector="yolov5 1",
            classifier="efficientnet_b0 1",
            parameters=ModelParameters(labels=LABELS),
        )
        self.alerts = started.alerts
        self.lines: list[Line] = [started]
        self._looks = 0

    def clip(self, frames=50, camera="yard", truth=None, files=(), path="/clips/yard.mp4"):
        known = (
            None if truth is None else Truth.model_validate({"fps": FPS, "frames": frames} | truth)
        )
        self.lines.append(
            Played(
                camera=camera, path=path, fps=FPS, expected=frames, truth=known, files=list(files)
            )
        )
        for index in range(frames):
            ref = frame(index, camera)
            self.lines += [
                Announced(frame=ref),
                Marked(
                    marker=Seen(
                        camera=camera,
                        run="r1",
                        media_ns=ref.media_ns,
                        captured_ns=ref.captured_ns,
                    )
                ),
            ]
        return self

    def look(
        self, index, label, score, *, at=HERE, track="t1", found=0.6, camera="yard", outcome=None
    ):
        """A crop of frame `index` and what the classifier says of it."""
        ref, name = frame(index, camera), f"{camera}-{track}"
        key = f"{name}.{self._looks}"
        self._looks += 1
        alerts = self.alerts.labels
        if outcome is None:
            outcome = "confirmed" if label in alerts and score >= 0.8 else "rejected"
        detected = Detected(model="yolov5", version="1", label="suspect", score=found)
        crop = Crop(
            id=key,
            camera=camera,
            track=name,
            frame=ref,
            box=box(at),
            region=box(at),
            detector=detected,
            cause="new",
            track_started_ns=ref.captured_ns,
            track_started_media_ns=ref.media_ns,
            detected_ms=1,
            jpeg=b"",
        )
        verdict = Verdict(
            camera=camera,
            track=name,
            id=key,
            outcome=outcome,
            label=label,
            score=score,
            reason="because",
            box=box(at),
            frame=FrameFacts(id=ref.id, width=1280, height=720, captured_at=ref.captured_at),
            detector=detected,
            classifier=Classified(model="c", version="1", scores=scores(label, score)),
            latency_ms=Latency(detected=1, received=2, classified=3, decided=4),
        )
        # Evidence lies among the frames of its clip: behind its own.
        place = self.lines.index(Announced(frame=ref)) + 1
        while place < len(self.lines) and isinstance(self.lines[place], Cropped | Judged):
            place += 1
        self.lines[place:place] = [
            Cropped(crop=crop, picture=f"crops/{key}.jpg"),
            Judged(verdict=verdict),
        ]
        return self

    def track_ended(self, index, track="t1", camera="yard"):
        ref = frame(index, camera)
        place = self.lines.index(Announced(frame=ref)) + 1
        ended = TrackEnded(
            camera=camera,
            track=f"{camera}-{track}",
            run="r1",
            media_ns=ref.media_ns,
            captured_ns=ref.captured_ns,
            looks=1,
        )
        self.lines.insert(place, Marked(marker=ended))
        return self

    def alert(self, index, label, *, at=HERE, camera="yard", after_s=0.2, number=0, reopened=False):
        """A `new` alert, or an episode opened again, with frame `index`, `after_s` later."""
        ref = frame(index, camera)
        alert = Alert(
            id=f"{camera}-{number:026d}",
            event="update" if reopened else "new",
            sequence=2 if reopened else 0,
            reason="reopened" if reopened else None,
            camera=camera,
            label=label,
            score=0.9,
            status="confirmed",
            box=box(at),
            frame=FrameFacts(id=ref.id, width=1280, height=720, captured_at=ref.captured_at),
            detector=Detected(model="yolov5", version="1", label="suspect", score=0.6),
            classifier=Classified(model="c", version="1", scores=scores(label, 0.9)),
            decision=Decision(rule="2 of 3", confirmed=2, rejected=0, uncertain=0),
            started_at=ref.captured_at,
            updated_at=ref.captured_at,
            snapshot_topic="s",
            snapshot_id="s",
            latency_ms=Latency(detected=1, received=2, decided=3),
        )
        received_ns = ref.captured_ns + round(after_s * 1e9)
        self.lines.append(Alerted(alert=alert, received_ns=received_ns))
        return self

    def picture(self, truth, label, score, outcome="rejected"):
        """A labelled picture and its verdict."""
        key = f"images-{self._looks}.0"
        self.lines.append(
            Labelled(id=key, label=truth, picture=f"/pictures/{truth}/{self._looks}.jpg")
        )
        self._looks += 1
        ref = frame(self._looks, "images")
        self.lines.append(
            Judged(
                verdict=Verdict(
                    camera="images",
                    track=key.removesuffix(".0"),
                    id=key,
                    outcome=outcome,
                    label=label,
                    score=score,
                    reason="because",
                    box=box(HERE),
                    frame=FrameFacts(id=ref.id, width=9, height=9, captured_at=ref.captured_at),
                    detector=Detected(model="none", version="0", label="picture", score=1),
                    classifier=Classified(model="c", version="1", scores=scores(label, score)),
                    latency_ms=Latency(detected=1, received=2, decided=4),
                )
            )
        )
        return self

    def run(self, *, complete=True, lost=None) -> Run:
        end = Finished(complete=complete, seconds=5, lost=lost or {})
        return assemble([*self.lines, end])


def thing(label, first, last, at=HERE, **more):
    """A thing that stands at one place from frame `first` to `last`."""
    boxes = [[index, *at] for index in range(first, last + 1)]
    return {"label": label, "boxes": boxes, **more}


def episode(label, first, last, at=HERE):
    """A true episode at one place."""
    return thing(label, first, last, at, start_s=first / FPS, end_s=last / FPS)
