"""One complete sample of every message, with all fields filled in and agreeing with each other."""

from datetime import UTC, datetime
from typing import Any

from secondlook import messages as m

STARTED = datetime(2026, 11, 22, 6, 13, 19, 923000, tzinfo=UTC)
CAPTURED = datetime(2026, 11, 22, 6, 13, 20, 123000, tzinfo=UTC)
CAPTURED_NS = 1_795_328_000_123_456_789
ALERT_ID = "front_door-01m80y6fxk8e5t7w9x0y1z2a3b"
TRACK = "front_door-01m80y5zq0-17"
BOX = m.Box(x1=812, y1=344, x2=1010, y2=560)
FRAME = m.FrameRef(
    id=f"front_door-{CAPTURED_NS}",
    camera="front_door",
    run="01M80Y5Z0000000000000000000"[:26],
    sequence=104,
    captured_ns=CAPTURED_NS,
    media_ns=10_400_000_000,
    width=1920,
    height=1080,
)
FACTS = m.FrameFacts(id=FRAME.id, width=1920, height=1080, captured_at=CAPTURED)
DETECTED = m.Detected(model="yolov5", version="1", label="suspect", score=0.62)
CLASSIFIED = m.Classified(
    model="efficientnet_b0",
    version="1",
    scores={"small_gun": 0.97, "big_gun": 0.01, "phone": 0.01, "umbrella": 0.0, "empty": 0.01},
)
LATENCY = m.Latency(detected=41.0, received=43.2, classified=63.9, decided=64.0)
TINY_JPEG = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")

CROP = m.Crop(
    camera="front_door",
    track=TRACK,
    id=f"{TRACK}.2",
    frame=FRAME,
    box=BOX,
    region=m.Box(x1=782, y1=312, x2=1040, y2=592),
    detector=DETECTED,
    cause="new",
    track_started_ns=CAPTURED_NS - 400_000_000,
    track_started_media_ns=10_000_000_000,
    detected_ms=41.0,
    jpeg=TINY_JPEG,
)
ALERT = m.Alert(
    id=ALERT_ID,
    event="new",
    sequence=0,
    camera="front_door",
    label="small_gun",
    score=0.97,
    status="confirmed",
    box=BOX,
    frame=FACTS,
    detector=DETECTED,
    classifier=CLASSIFIED,
    decision=m.Decision(rule="2 of 3 looks within 2.0 s", confirmed=2, rejected=0, uncertain=1),
    started_at=STARTED,
    updated_at=datetime(2026, 11, 22, 6, 13, 20, 187000, tzinfo=UTC),
    snapshot_topic="secondlook/snapshots/front_door",
    snapshot_id="01m80y6gkb3q5v7x9z1c3e5g7j",
    latency_ms=LATENCY,
)
SAMPLES: dict[str, list[Any]] = {
    "frames/{camera}": [FRAME],
    "crops/{camera}": [
        CROP,
        m.TrackEnded(
            camera="front_door",
            track=TRACK,
            run=FRAME.run,
            media_ns=12_000_000_000,
            captured_ns=CAPTURED_NS + 1_600_000_000,
            looks=5,
        ),
        m.Seen(
            camera="front_door",
            run=FRAME.run,
            media_ns=FRAME.media_ns,
            captured_ns=CAPTURED_NS,
            unbroken_since_ns=CAPTURED_NS - 60_000_000_000,
        ),
    ],
    "verdicts/{camera}": [
        m.Verdict(
            camera="front_door",
            track=TRACK,
            id=CROP.id,
            outcome="confirmed",
            label="small_gun",
            score=0.97,
            reason="small_gun 0.97 >= 0.80",
            episode=ALERT_ID,
            box=BOX,
            frame=FACTS,
            detector=DETECTED,
            classifier=CLASSIFIED,
            latency_ms=LATENCY,
        )
    ],
    "alerts/{camera}/{label}": [ALERT],
    "last/{camera}/{label}": [ALERT],
    "newest/{camera}": [ALERT],
    "state/{camera}/{label}": ["ON"],
    "snapshots/{camera}": [TINY_JPEG],
    "pictures/{camera}/{kind}": [TINY_JPEG],
    "events/{camera}": [
        m.Event(
            event_type="alert",
            camera="front_door",
            at=ALERT.updated_at,
            label="small_gun",
            score=0.97,
            id=ALERT_ID,
        )
    ],
    "counters/{camera}": [
        m.Counters(
            camera="front_door", date="2026-11-22", alerts=1, rejections=14, unverified=0, looks=61
        )
    ],
    "status/{service}": ["online"],
    "beats/{service}": ["alive"],
    "cameras/{camera}/status": ["online"],
    "blind/{camera}": [
        m.Blind(
            camera="front_door",
            from_=STARTED,
            to=CAPTURED,
            why="the camera was offline",
        )
    ],
    "blind_now/{camera}": [
        m.BlindNow(camera="front_door", blind=True, since=STARTED, why=("the camera was offline",)),
        m.BlindNow(camera="front_door", blind=False),
    ],
    "stats/{service}": [
        m.Stats(
            service="detector",
            version="0.1.0",
            at=CAPTURED,
            counters={"frames_total{camera=front_door}": 1042.0, "bus_connected": 1.0},
        )
    ],
    "replay": [m.Replay(since=STARTED, client="phone")],
    "replayed/{client}": [ALERT, m.ReplayEnd(end=True)],
    "set/{camera}/{key}": [False, 0.85, {"small_gun": 0.9}, None, {"label": "small_gun"}],
    "config/{camera}/{key}": [False, 0.85, {"small_gun": 0.9, "big_gun": 0.8}],
    "feedback": [m.Feedback(id=ALERT_ID, truth="false_alarm", label="umbrella")],
    "dead-letters/{service}": [
        m.DeadLetter(
            topic="secondlook/crops/front_door",
            reason="message: Invalid JSON: expected value at line 1 column 1",
            size=5,
            first_bytes=b"hello",
            at=CAPTURED,
        )
    ],
}
"""By the pattern of the topic."""
