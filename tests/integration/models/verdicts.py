"""A classifier for tests, run by Triton's Python backend: it judges a picture by its colour.

Red is a small_gun, blue a big_gun, green a phone; the stronger the colour, the higher the
score. Grey is undecided, and white has no numbers at all. A file `seconds` beside it says how
long it takes for each picture.
"""

import time
from pathlib import Path

import numpy as np
import triton_python_backend_utils as pb_utils

WHITE = 240
SECONDS = Path(__file__).with_name("seconds")


class TritonPythonModel:
    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        given = pb_utils.get_input_tensor_by_name(request, "images").as_numpy()
        if SECONDS.exists():
            time.sleep(float(SECONDS.read_text()) * len(given))
        red, green, blue = given.astype(np.float32).mean(axis=(1, 2)).T
        strength = np.stack([red, blue, green], axis=1) / 255
        scores = np.full((len(given), 5), 0.01, np.float32)
        scores[:, :3] = np.clip(strength - strength.min(axis=1, keepdims=True), 0.01, 0.99)
        scores[given.mean(axis=(1, 2, 3)) > WHITE] = np.nan
        return pb_utils.InferenceResponse([pb_utils.Tensor("scores", scores)])
