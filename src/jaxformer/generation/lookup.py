"""Speculation by prompt look-up: what followed the last few tokens before may follow them again.

Code repeats itself. A guess costs a row little while decoding waits for memory: one step reads all
its tokens at once and draws the token behind each, by the same noise as without a guess. As far as
the guess is what was drawn, the step has made several tokens; the tokens are the same either way.
(Saxena 2023, "Prompt Lookup Decoding"; on verifying guesses: Leviathan et al., arXiv:2211.17192.)
"""

from collections.abc import Sequence

import numpy as np

MATCH = 3
"""Tokens that must have stood together before."""
ROWS = 2
"""With more rows than this a step waits for products, not for memory, and guesses cost as much."""
WORTH = 0.5
"""Tokens that a guess must bring on average, for the guessing to go on."""


class Lookup:
    """Guesses for an engine, which stop for a while where they do not pay."""

    def __init__(self) -> None:
        """Begin hopefully."""
        self.worth = 2.0
        """Tokens that a guess brought, of late and on average."""

    def guess(self, history: Sequence[int], most: int) -> list[int]:
        """Return up to `most` tokens that may follow; none where nothing is known, or none pay."""
        if self.worth < WORTH:
            self.worth += WORTH / 32  # a later try
            return []
        tokens = np.asarray(history)
        if len(tokens) <= MATCH:
            return []
        same = np.ones(len(tokens) - MATCH, bool)
        for i in range(MATCH):
            same &= tokens[i : i + len(same)] == tokens[len(tokens) - MATCH + i]
        places = np.flatnonzero(same)
        if not len(places):
            return []
        start = int(places[-1]) + MATCH
        return tokens[start : start + most].tolist()

    def learn(self, accepted: int) -> None:
        """Note how many tokens of a guess were right."""
        self.worth += 0.2 * (accepted - self.worth)
