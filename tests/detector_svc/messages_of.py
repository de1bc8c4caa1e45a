"""Messages for tests that care about little in them."""

from secondlook.messages import Box, Crop, Detected, FrameRef, Seen, TrackEnded


def frame(camera="yard", captured_ns=1_795_328_000_000_000_000, media_ns=0, run="r1", **changes):
    return FrameRef(
        **(
            {
                "id": f"{camera}-{captured_ns}",
                "camera": camera,
                "run": run,
                "sequence": 0,
                "captured_ns": captured_ns,
                "media_ns": media_ns,
                "width": 640,
                "height": 480,
            }
            | changes
        )
    )


def crop(number=0, camera="yard", track="a-0", jpeg=b"\xff\xd8pixels"):
    box = Box(x1=10, y1=10, x2=60, y2=60)
    return Crop(
        camera=camera,
        track=f"{camera}-{track}",
        id=f"{camera}-{track}.{number}",
        frame=frame(camera),
        box=box,
        region=box,
        detector=Detected(model="yolov5", version="1", label="suspect", score=0.5),
        cause="new",
        track_started_ns=1_795_328_000_000_000_000,
        track_started_media_ns=0,
        detected_ms=1.0,
        jpeg=jpeg,
    )


def track_ended(camera="yard", track="a-0", looks=3):
    return TrackEnded(
        camera=camera,
        track=f"{camera}-{track}",
        run="r1",
        media_ns=0,
        captured_ns=0,
        looks=looks,
    )


def seen(camera="yard", media_ns=0):
    return Seen(camera=camera, run="r1", media_ns=media_ns, captured_ns=0)
