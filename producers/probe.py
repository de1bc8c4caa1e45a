"""Opens one camera of the configuration once and saves a picture: for `secondlook check`.

A process of its own, because a driver may hang. The picture has the camera's zones drawn and
its masks painted. Prints one line of JSON, or says on standard error what is wrong.
"""

import json
import sys
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from producers import polygons
from producers.capture.__main__ import LibraryLog
from producers.capture.reader import open_source
from producers.sources import Damaged, Source, SourceEnded, check_size, parse, redact
from secondlook.config import Camera
from secondlook.config_file import load
from secondlook.errors import SecondLookError, SourceError

ATTEMPTS = 60
"""Pictures to try: a stream may begin with some that cannot be decoded, a webcam with dark ones."""
SETTLE = 5
"""A webcam's first pictures are dark; a file's are not waited for."""
GREEN = (80, 220, 80)


@click.command()
@click.option("--config", "config_path", type=click.Path(path_type=Path), required=True)
@click.option("--set", "overrides", multiple=True)
@click.option("--camera", "name", required=True)
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), required=True)
def main(config_path: Path, overrides: tuple[str, ...], name: str, picture: Path) -> None:
    """Open the camera, save its picture, print its size."""
    library = LibraryLog()
    try:
        camera = load(config_path, overrides).cameras[name]
        source = open_source(parse(camera.address()), camera.fps, library.last)
        try:
            image = _first_picture(source)
        finally:
            source.close()
        height, width = image.shape[:2]
        if not cv2.imwrite(str(picture), drawn(image, camera)):
            raise SourceError(f"the picture cannot be written to {picture}")
    except SecondLookError as error:
        print(redact(str(error)), file=sys.stderr)  # noqa: T201 - its way of answering
        sys.exit(1)
    click.echo(json.dumps({"width": width, "height": height, "fps": source.fps}))


def _first_picture(source: Source) -> NDArray[np.uint8]:
    wanted = SETTLE if source.live else 1
    image: NDArray[np.uint8] | None = None
    for _ in range(ATTEMPTS):
        try:
            source.grab()
            image = source.picture()
            check_size(image.shape[1], image.shape[0])
            wanted -= 1
        except Damaged:
            continue
        except SourceEnded:
            break
        if wanted <= 0:
            break
    if image is None:
        raise SourceError("it opens, but gives no usable picture")
    return image


def drawn(image: NDArray[np.uint8], camera: Camera) -> NDArray[np.uint8]:
    """Return the picture as the detector will see it, uint8 [height, width, 3], zones outlined."""
    if camera.max_width and image.shape[1] > camera.max_width:
        scale = camera.max_width / image.shape[1]
        image = np.asarray(cv2.resize(image, None, fx=scale, fy=scale), np.uint8)
    height, width = image.shape[:2]
    polygons.fill(image, camera.masks, 0)
    for name, zone in camera.zones.items():
        corners = np.round(np.array(zone) * (width, height)).astype(np.int32)
        cv2.polylines(image, [corners], isClosed=True, color=GREEN, thickness=2)
        left, top = corners.min(axis=0)
        place = (int(left) + 6, int(top) + 24)
        cv2.putText(image, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, GREEN, 2)
    return image


if __name__ == "__main__":
    main()
