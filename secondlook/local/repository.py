"""What lies in a model repository on disk: folders, configurations, weights, cards."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from secondlook.adapters.model_config import read_config
from secondlook.errors import ModelMismatch
from secondlook.model_fit import ANSWERS_OF, spec_of
from secondlook.model_request import LICENCE_MARK
from secondlook.model_spec import ModelParameters, ModelSpec

FILES: Final[Mapping[str, tuple[str, ...]]] = {
    "python": ("model.py",),
    "onnx": ("model.onnx",),
    "tensorrt": ("model.plan",),
    "torch": ("model.onnx", "model_torch.py", "torch_graph.py"),
    "tensorflow": ("model.savedmodel",),
}
"""What each platform needs in a version's folder; `python` also the file that it runs."""
DEFAULT: Final = "python"
RUN: Final = ("model.onnx", "model.savedmodel")
"""What the Python backend runs, the first that is there."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model's folder."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name at Triton."""
        return self.folder.name

    @property
    def version(self) -> Path:
        """The folder of its newest version; `1` where there is none."""
        numbers = [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()]
        return self.folder / str(max(numbers, default=1))

    @property
    def configs(self) -> dict[str, Path]:
        """Its configurations by platform; "" is config.pbtxt, for platforms without their own."""
        found = {path.stem: path for path in sorted((self.folder / "configs").glob("*.pbtxt"))}
        return {"": self.folder / "config.pbtxt"} | found

    def config(self, platform: str) -> Path:
        """Return the configuration that Triton reads for a platform."""
        return self.configs.get(platform, self.configs[""])

    def spec(self, platform: str = "", overrides: ModelParameters | None = None) -> ModelSpec:
        """Return how the services would see it.

        Args:
            platform: Whose configuration counts; empty: config.pbtxt.
            overrides: Parameters of the user's configuration.

        Raises:
            ModelMismatch: The configuration is missing, or cannot be used.
        """
        # Like Triton: a model that says no name is called like its folder.
        config = {"name": self.name, **read_config(self.config(platform))}
        return spec_of(config, version=self.version.name, overrides=overrides)

    @property
    def weights(self) -> str:
        """The file or folder that the Python backend runs, as 1/model.py looks for it."""
        config = read_config(self.folder / "config.pbtxt")
        said = config.get("parameters", {}).get("file", {}).get("string_value")
        there = (name for name in RUN if (self.version / name).exists())
        return str(said or next(there, RUN[0]))

    @property
    def platforms(self) -> list[str]:
        """The platforms that it has both a configuration and files for."""
        names = [name for name in self.configs if name] or [DEFAULT]
        return [name for name in names if not self.missing(name)]

    def missing(self, platform: str) -> list[str]:
        """Return the files that a platform would look for in vain."""
        needed = FILES.get(platform, ())
        if platform == "python":
            needed = (*needed, self.weights)
        return [name for name in needed if not (self.version / name).exists()]

    @property
    def labels_file(self) -> list[str] | None:
        """The labels in its labels.txt, or None."""
        path = self.folder / "labels.txt"
        if not path.is_file():
            return None
        lines = path.read_text(encoding="utf-8").splitlines()
        return [line.strip() for line in lines if line.strip()]

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    @property
    def licence(self) -> str:
        """What its card says of the licence, or that it does not."""
        card = self.folder / "card.md"
        lines = card.read_text(encoding="utf-8").splitlines() if card.is_file() else []
        said = (line.removeprefix(LICENCE_MARK) for line in lines if line.startswith(LICENCE_MARK))
        return next(said, "not stated")


def models_in(repository: Path) -> list[Model]:
    """Return the models of a repository, by name."""
    folders = (path for path in sorted(repository.iterdir()) if not path.name.startswith("."))
    return [Model(path) for path in folders if path.is_dir() and _is_model(path)]


def _is_model(folder: Path) -> bool:
    return (folder / "config.pbtxt").is_file() or any(folder.glob("[0-9]*"))


def kind_of(spec: ModelSpec) -> str:
    """Return `detector` or `classifier`."""
    return "detector" if ANSWERS_OF[spec.parameters.output or ""] == "boxes" else "classifier"


def faults(model: Model) -> Iterator[str]:
    """Yield what is wrong with a model's folder, a sentence each; nothing is run.

    What is missing for platforms other than the default is no fault: a TensorRT plan is built
    where it is used.
    """
    for platform, path in model.configs.items():
        try:
            spec = model.spec(platform)
            name = str(read_config(path).get("name", model.name))
        except ModelMismatch as error:
            yield f"{path.relative_to(model.folder)}: {error}"
            continue
        if name != model.name:
            yield f"{path.relative_to(model.folder)} says name {name!r}: write {model.name!r}"
        yield from _label_faults(model, path, spec)
    try:
        missing = model.missing(DEFAULT)
    except ModelMismatch:
        return  # said above
    if missing:
        yield f"{model.version} lacks {', '.join(missing)}: add the model again"


def _label_faults(model: Model, path: Path, spec: ModelSpec) -> Iterator[str]:
    labels, listed = list(spec.parameters.labels or ()), model.labels_file
    if listed is not None and listed != labels:
        yield (
            f"labels.txt has {len(listed)} labels and {path.relative_to(model.folder)} "
            f"{len(labels)}, and they are not the same: correct one"
        )
