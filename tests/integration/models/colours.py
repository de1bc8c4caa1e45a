"""A detector for tests, run by Triton's Python backend: it finds what is plainly coloured.

Fused output. Label 0: the box around all red pixels, label 1: around all green ones. A picture
with blue pixels takes `sleep_s`. Like its weights, its scores are simple: red 0.9, green 0.6.
"""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils

K = 4
BLUE = 2
BRIGHT, DARK = 150, 100
SCORES = (0.9, 0.6)


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.own = {k: v["string_value"] for k, v in config["parameters"].items()}

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        pictures = pb_utils.get_input_tensor_by_name(request, "images").as_numpy().astype(np.int16)
        found = [self.find(picture) for picture in pictures]
        outputs = {
            "boxes": np.array([boxes for boxes, _, _ in found], np.float32),
            "scores": np.array([scores for _, scores, _ in found], np.float32),
            "labels": np.tile(np.arange(K, dtype=np.int32) % 2, (len(found), 1)),
            "count": np.array([[count] for _, _, count in found], np.int32),
        }
        tensors = [pb_utils.Tensor(name, value) for name, value in outputs.items()]
        return pb_utils.InferenceResponse(tensors)

    def find(self, picture):
        boxes, scores, count = np.zeros((K, 4)), np.zeros(K), 0
        for label in range(3):
            others = [channel for channel in range(3) if channel != label]
            pure = (picture[..., label] > BRIGHT) & (picture[..., others] < DARK).all(axis=-1)
            ys, xs = np.nonzero(pure)
            if not len(ys):
                continue
            if label == BLUE:
                time.sleep(float(self.own.get("sleep_s", "0")))
                continue
            boxes[label] = xs.min(), ys.min(), xs.max() + 1, ys.max() + 1
            scores[label] = SCORES[label]
            count += 1
        return boxes, scores, count
