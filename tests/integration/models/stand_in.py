"""A model for tests, run by Triton's Python backend: its answers tell which picture it was given.

Each answer is filled with the mean of its picture, and ends with the picture's spread: a picture
of one value gives an answer of that value, and any mixture of two pictures shows.

Parameters: `sleep_s` (how long an answer takes), `sleep_above` (only for a mean above this),
`width` (of an output whose size is free), `answer` (`nan`, `empty`, `wide` or `fail` instead of
the right one; `none`: it does not load).
"""

import json
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.own = {k: v["string_value"] for k, v in config["parameters"].items()}
        self.input, self.output = config["input"][0], config["output"][0]
        self.batched = int(config["max_batch_size"]) > 0
        if self.own.get("answer") == "none":
            raise pb_utils.TritonModelException("this model never loads")

    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        given = pb_utils.get_input_tensor_by_name(request, self.input["name"]).as_numpy()
        pictures = given.reshape(len(given) if self.batched else 1, -1).astype(np.float64)
        means = pictures.mean(axis=1)
        if means[0] > float(self.own.get("sleep_above", "-1")):
            time.sleep(float(self.own.get("sleep_s", "0")))
        width = int(self.own.get("width", "1"))
        shape = [int(size) if int(size) > 0 else width for size in self.output["dims"]]
        answers = np.repeat(means[:, None], int(np.prod(shape)), axis=1)
        answers[:, -1] = np.ptp(pictures, axis=1)
        match self.own.get("answer"):
            case "nan":
                answers[:] = np.nan
            case "empty":
                answers, shape = answers[:, :0], [0]
            case "wide":
                answers, shape = np.repeat(answers, 2, axis=1), [2 * size for size in shape]
            case "fail":
                error = pb_utils.TritonError("this model always fails")
                return pb_utils.InferenceResponse(error=error)
        lead = [len(answers)] if self.batched else []
        tensor = answers.astype(np.float32).reshape([*lead, *shape])
        return pb_utils.InferenceResponse([pb_utils.Tensor(self.output["name"], tensor)])
