"""Speculation by a draft: a smaller model of the family writes ahead, and the larger one checks.

A step of the larger model checks several tokens at about the cost of one. Both models draw by the
same noise, so that they often draw the same; what comes out is what the larger one draws either
way. (Leviathan et al., arXiv:2211.17192.)
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxformer.checkpoints import Model
from jaxformer.generation.decoding import bucket, decode, moved, read
from jaxformer.generation.pages import Pages, load
from jaxformer.generation.sampling import Sampling
from jaxformer.model import Cache
from jaxformer.model.inference import empty_cache
from jaxformer.model.sharding import bytes_on_each

LENGTHS = (1, 3, 7)
"""Tokens that are written ahead at a time; few numbers to compile for."""
CHECK = 0.1
"""What checking one more token costs, in steps of the larger model (16 cost 2.7 on two cores)."""
PATIENCE = 32
"""Looks at a draft that does not pay between two tries."""


@dataclass
class Ahead:
    """What a draft has read of one history."""

    cache: Cache | None = None
    tokens: list[int] = field(default_factory=list)
    """In the cache, wrong guesses among them."""


class Draft:
    """Guesses for an engine by a smaller model, as many as pay."""

    def __init__(self, model: Model, larger: Model, pages: int) -> None:
        """Begin hopefully.

        Args:
            model: The draft.
            larger: The model that it writes ahead for; both have the same tokens.
            pages: How many pages of histories to keep.
        """
        self.model = model
        self.cost = _read_bytes(model) / _read_bytes(larger)
        """Of a token written ahead, in steps of the larger model: by the bytes that are read."""
        self._pages = Pages(pages)
        self._right, self._tried = 8.0, 10.0
        self._looks = 0

    @property
    def agreement(self) -> float:
        """How likely both models draw the same token, judged by the last few dozen."""
        return self._right / self._tried

    def worth(self, rows: int, most: int = LENGTHS[-1]) -> float:
        """Return how many steps writing ahead saves for each that is done, at best.

        Args:
            rows: For how many rows the draft writes; one after the other.
            most: Tokens that can be checked.
        """
        return max((self._gain(n, rows) for n in LENGTHS if n <= most), default=1.0) - 1

    def guess(
        self, ahead: Ahead, history: Sequence[int], sampling: Sampling, rows: int, most: int
    ) -> list[int]:
        """Return up to `most` tokens that may follow a history; none where guessing does not pay.

        Args:
            ahead: What was read of this history before; it is brought up to date.
            history: The tokens so far.
            sampling: How the larger model draws, for one row.
            rows: For how many rows the draft writes.
            most: Tokens that can be checked.
        """
        context = self.model.config.n_positions
        count = self._count(rows, min(most, context - len(history)))
        if not count:
            return []
        last = len(history) - 1
        slots = bucket(len(history) + LENGTHS[-1], context, 64)
        if ahead.cache is None:
            pages = self._pages.find(history[:last])
            cache = load(empty_cache(self.model.params, self.model.config, 1, slots), pages)
            known = sum(len(page.tokens) for page in pages)
        else:
            cache, known = ahead.cache, _common(ahead.tokens, history[:last])
            if cache[0]["k"].shape[2] < slots:
                cache = moved(cache, np.zeros(1, np.int32), slots)
        cache, _ = read(self.model, cache, history[known:last], known)
        if ahead.cache is None:
            self._pages.keep(cache, 0, history[:last])
        token, position = np.array(history[last:], np.int32), np.array([last], np.int32)
        ahead.cache, ids, _ = decode(self.model, cache, token, position, sampling, count)
        found = ids[0].tolist()
        ahead.tokens = [*history, *found[:-1]]
        return found

    def learn(self, guessed: int, accepted: int) -> None:
        """Note how many tokens of a guess were right before the first wrong one."""
        tried = min(accepted + 1, guessed)
        self._right, self._tried = 0.95 * self._right + accepted, 0.95 * self._tried + tried

    def _count(self, rows: int, most: int) -> int:
        """Return how many tokens to write ahead: as many as speed decoding up most, or none."""
        possible = [n for n in LENGTHS if n <= most]
        if not possible:
            return 0
        if self.worth(rows, most) <= 0:
            self._looks += 1
            if self._looks % PATIENCE:
                return 0
        return max(possible, key=lambda n: self._gain(n, rows))

    def _gain(self, count: int, rows: int) -> float:
        """Return how many times faster decoding is with so many guesses a step.

        A step that checks `n` guesses makes `(1 - a^(n+1)) / (1 - a)` tokens (equation 1 there).
        """
        share = min(self.agreement, 0.999)
        made = (1 - share ** (count + 1)) / (1 - share)
        return made / (1 + rows * count * (self.cost + CHECK))


def _read_bytes(model: Model) -> int:
    """Return the bytes that a device reads for a step: of all weights but the embedding."""
    return bytes_on_each({k: v for k, v in model.params.items() if k != "embedding"})


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two histories have in common at their beginnings."""
    pairs = zip(one, other, strict=False)
    shorter = min(len(one), len(other))
    return next((i for i, (a, b) in enumerate(pairs) if a != b), shorter)
