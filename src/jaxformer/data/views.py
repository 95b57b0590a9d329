"""Other ways to look at the rows of a data set: some of them, or pieces of each."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from jaxformer.data.rows import Stretch


class Stretches(Protocol):
    """Rows of tokens by number."""

    def __len__(self) -> int: ...

    def stretch(self, row: int) -> Stretch:
        """Return the tokens of a row."""
        ...

    def origins(self, row: int) -> np.ndarray:
        """Return the row of the ledger that each token of a row comes from, int64 `[tokens]`."""
        ...


@dataclass(frozen=True)
class Range:
    """The rows from `start` up to `stop`."""

    base: Stretches
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def stretch(self, row: int) -> Stretch:
        """Return the tokens of a row, counted from `start`."""
        return self.base.stretch(self.start + row)

    def origins(self, row: int) -> np.ndarray:
        """Return where each token of a row comes from."""
        return self.base.origins(self.start + row)


@dataclass(frozen=True)
class Pieces:
    """Every row as several shorter ones; neighbours share a token, as rows do."""

    base: Stretches
    pieces: int
    """Of each row."""
    context: int
    """Tokens read a piece."""

    def __len__(self) -> int:
        return len(self.base) * self.pieces

    def stretch(self, row: int) -> Stretch:
        """Return the tokens of a piece; none where a row was too short for it."""
        whole = self.base.stretch(row // self.pieces)
        low = row % self.pieces * self.context
        high = low + self.context + 1
        inside = (whole.starts >= low) & (whole.starts < high)
        return Stretch(
            whole.tokens[low:high],
            whole.starts[inside] - low,
            None if whole.prompts is None else whole.prompts[low:high],
        )

    def origins(self, row: int) -> np.ndarray:
        """Return where each token of a piece comes from."""
        low = row % self.pieces * self.context
        return self.base.origins(row // self.pieces)[low : low + self.context + 1]
