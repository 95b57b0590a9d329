"""Batches: a function of seed and step, whatever the number of hosts.

Grain shuffles each data set anew every epoch, mixes data sets by weight and reads ahead. All of
this is random access, so that where a run stands is one number, its step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import grain
import numpy as np

from jaxformer.data.infilling import Infilling, rearrange_stretch
from jaxformer.data.rows import Rows, row, stack
from jaxformer.data.views import Stretches
from jaxformer.errors import UserError


@dataclass(frozen=True)
class Loader:
    """Reads the batches of a run, or one host's share of them.

    Attributes:
        sources: Data sets and their weights; of a batch's rows each has such a share on average.
        batch_size: Rows of all hosts together.
        context: Tokens read a row; longer rows of a data set are cut.
        seed: What all chance follows from.
        host, hosts: Which share of each batch this is, and of how many.
        mask_documents: Whether documents of a row are hidden from each other.
        prompt_weight: How much the words of prompts count in the loss; 0 for code only.
        infilling: Fill-in-the-middle, or None.
    """

    sources: Sequence[tuple[Stretches, float]]
    batch_size: int
    context: int
    seed: int = 0
    host: int = 0
    hosts: int = 1
    mask_documents: bool = True
    prompt_weight: float = 1.0
    infilling: Infilling | None = None

    def __post_init__(self) -> None:
        if self.batch_size % self.hosts:
            raise UserError(
                f"A batch of {self.batch_size} rows cannot be shared by {self.hosts} hosts evenly; "
                "choose a multiple."
            )
        if not self.sources or any(not len(tokens) for tokens, _ in self.sources):
            raise UserError("A data set has no rows; build it from more text.")
        if any(weight <= 0 for _, weight in self.sources):
            raise UserError("The weight of a data set must be above 0; leave it out instead.")

    @cached_property
    def _rows(self) -> grain.MapDataset:
        """All rows of the run in their order, without end: number of source, row, epoch."""
        shuffled = []
        for number, (tokens, _) in enumerate(self.sources):
            count = len(tokens)
            places = grain.MapDataset.range(count).seed(self.seed + number).shuffle().repeat()
            shuffled.append(
                places.map_with_index(
                    lambda index, row, number=number, count=count: (number, row, index // count)
                )
            )
        return grain.MapDataset.mix(shuffled, [weight for _, weight in self.sources])

    def places(self, step: int) -> list[tuple[int, int]]:
        """Return which rows of all hosts make up a step's batch: number of source, and row."""
        first = step * self.batch_size
        chosen = (self._rows[first + place] for place in range(self.batch_size))
        return [place[:2] for place in chosen if place is not None]

    def batch(self, step: int) -> Rows[np.ndarray]:
        """Return this host's rows of a step's batch, `[batch_size / hosts, context]` arrays."""
        share = self.batch_size // self.hosts
        first = step * self.batch_size + self.host * share
        chosen = (self._rows[first + place] for place in range(share))
        return stack([self._row(*place) for place in chosen if place is not None])

    def _row(self, source: int, number: int, epoch: int) -> Rows[np.ndarray]:
        stretch = self.sources[source][0].stretch(number)
        if self.infilling is not None:
            rng = np.random.default_rng((self.seed, source, number, epoch))
            stretch = rearrange_stretch(stretch, self.infilling, rng)
        return row(stretch, self.context, self.mask_documents, self.prompt_weight)

    def iterate(
        self, step: int = 0, threads: int = 4, ahead: int = 16
    ) -> grain.DatasetIterator[Rows[np.ndarray]]:
        """Return an iterator over batches from a step on, read ahead by threads.

        Its `get_state()` and `set_state()` are Grain's: a few bytes that say where it stands.
        """
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=max(ahead, threads))
        batches = grain.MapDataset.range(step, 1 << 62).map(self.batch)
        return iter(batches.to_iter_dataset(options))
