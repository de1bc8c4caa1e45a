"""A camera that shows what a file says: raw frames on standard output, for an `ffmpeg:` source.

    python stage.py FILE WIDTH HEIGHT

Each line of the file is `colour x y`: a square of that colour. The models of these tests know
red as a small_gun and green as a phone. Noise all over keeps the picture alive.
"""

import sys
import time
from pathlib import Path

import numpy as np

FPS = 5
SIDE = 60
COLOURS = {"red": (0, 0, 255), "green": (0, 255, 0)}
"""Blue, green, red."""


def main() -> None:
    """Show frames until the pipe is closed."""
    scene, width, height = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    chance = np.random.default_rng(1)
    while True:
        frame = chance.integers(90, 110, (height, width, 3), dtype=np.uint8)
        for line in scene.read_text().splitlines():
            colour, x, y = line.split()
            frame[int(y) : int(y) + SIDE, int(x) : int(x) + SIDE] = COLOURS[colour]
        sys.stdout.buffer.write(frame.tobytes())
        sys.stdout.buffer.flush()
        time.sleep(1 / FPS)


if __name__ == "__main__":
    main()
