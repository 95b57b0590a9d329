"""Pages of histories, against a plain memory of all that was kept."""

import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxformer.generation.pages import PAGE, Pages, load
from jaxformer.model import CodeGenConfig, new_cache

CONFIG = CodeGenConfig(vocab_size=8, n_positions=256, n_embd=4, n_layer=2, n_head=2, rotary_dim=2)
SLOTS = 8 * PAGE

histories = st.lists(st.integers(0, 1), min_size=0, max_size=7).map(
    lambda blocks: [block for block in blocks for _ in range(PAGE)]
)


def cache_of(tokens: list[int]):
    """A cache whose every entry is told by the tokens up to its slot, by layer and by kind."""
    told = np.cumsum(np.array(tokens) * np.arange(1, len(tokens) + 1)) + 0.5
    values = np.zeros((1, 2, SLOTS, 2), np.float32)
    values[0, :, : len(tokens)] = told[:, None]
    return [
        {"k": jnp.asarray(values + 1000 * layer), "v": jnp.asarray(values + 1000 * layer + 500)}
        for layer in range(CONFIG.n_layer)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(histories, min_size=1, max_size=12), st.integers(0, 9), st.integers(0, 40))
def test_what_is_found_was_kept_after_the_same_tokens(kept, limit, more):
    pages = Pages(limit)
    for tokens in kept:
        tokens = tokens + [1] * (more % PAGE)  # an unfinished page is not kept
        pages.keep(cache_of(tokens), 0, tokens)
        assert len(pages) <= limit
        found = pages.find(tokens)
        assert len(found) == min(len(tokens) // PAGE, limit)  # the newest is always there
        filled = load(new_cache(CONFIG, 1, SLOTS, jnp.float32), found)
        size = PAGE * len(found)
        for ours, whole in zip(filled, cache_of(tokens), strict=True):
            for name in ("k", "v"):
                np.testing.assert_array_equal(ours[name][:, :, :size], whole[name][:, :, :size])


def test_what_was_unused_for_longest_makes_room():
    pages = Pages(3)
    one, two, three = ([n] * (2 * PAGE) for n in (1, 2, 3))
    pages.keep(cache_of(one), 0, one)
    pages.keep(cache_of(two), 0, two)  # the end of the first makes room
    assert [len(pages.find(tokens)) for tokens in (one, two)] == [1, 2]
    pages.find(one)
    pages.keep(cache_of(three), 0, three)
    assert [len(pages.find(tokens)) for tokens in (three, one, two)] == [2, 1, 0]
    assert len(pages) == 3
