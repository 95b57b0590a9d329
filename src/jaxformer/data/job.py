"""A build as each of its tasks sees it: the recipe, the plan, and where files are."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jaxformer.data.contamination import Benchmarks, load_benchmarks
from jaxformer.data.encode import Encoder, load_encoder
from jaxformer.data.recipe import CorpusRecipe
from jaxformer.data.workfiles import remembered


@dataclass(frozen=True)
class Job:
    """What every task of a build knows."""

    folder: Path
    """The data set's folder."""
    recipe: CorpusRecipe
    units: list[dict[str, int]]
    """Parts of the corpus that one task each reads and encodes: the number of the `source`, the
    `first` and the `end` of its pieces in the plan, and its `size` in bytes."""

    @cached_property
    def ranges(self) -> int:
        """Ranges of hash values in which one task each seeks duplicates; known when all is read."""
        return json.loads((self.work / "ranges.json").read_text("utf-8"))

    @cached_property
    def shards(self) -> int:
        """Shards that the tokens fill, known when all are there."""
        return json.loads((self.work / "shards.json").read_text("utf-8"))

    @property
    def work(self) -> Path:
        """The folder of files that are removed in the end."""
        return self.folder / "work"

    @cached_property
    def benchmarks(self) -> Benchmarks:
        """What must not be in the data."""
        return load_benchmarks(self.work / "benchmarks.json")

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder that this build chose."""
        chosen = json.loads((self.work / "encoder.json").read_text("utf-8"))
        return load_encoder(self.folder / "tokenizer", chosen["encoder"])

    def unit(self, number: int) -> Path:
        """The Arrow file of a unit; others of the same unit stand beside it."""
        return self.work / "units" / f"{number:06d}.arrow"

    def duplicates(self, kind: str) -> Path:
        """The folder of `exact` or `near` duplicates."""
        return self.work / kind

    @cached_property
    def prompts_marked(self) -> bool:
        """Whether any unit holds conversations."""
        return any((self.work / "units").glob("*.prompts"))


def open_job(folder: Path) -> Job:
    """Read the plan of a build."""
    return _open_job(folder / "work" / "plan.json")


@remembered(1)
def _open_job(path: Path) -> Job:
    plan = json.loads(path.read_text("utf-8"))
    return Job(path.parents[1], CorpusRecipe.model_validate(plan["recipe"]), plan["units"])


def piece_path(work: Path, number: int) -> Path:
    """Return where the plan says what to read."""
    return work / "pieces" / f"{number:06d}.json"
