"""What an attention kernel is."""

from typing import Protocol

import jax


class Attention(Protocol):
    """Attention under a mask."""

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, mask: jax.Array) -> jax.Array:
        """Attend.

        Args:
            q: Queries `[batch, queries, heads, head_dim]`.
            k: Keys `[batch, keys, heads, head_dim]`.
            v: Values, shaped like `k`.
            mask: Booleans `[batch, queries, keys]`, true where a query sees a key. What a query
                that sees nothing returns is finite and meaningless.

        Returns:
            `[batch, queries, heads, head_dim]` in the dtype of `v`.
        """
        ...


class RowAttention(Protocol):
    """Attention within rows of packed documents."""

    def __call__(self, q: jax.Array, k: jax.Array, v: jax.Array, segments: jax.Array) -> jax.Array:
        """Attend: a token sees itself and what stands before it in its document.

        Args:
            q: Queries `[batch, tokens, heads, head_dim]`.
            k: Keys, shaped like `q`.
            v: Values, shaped like `q`.
            segments: The document of each token, int32 `[batch, tokens]`; negative for padding,
                which nothing sees, and for which what is returned is finite and meaningless.

        Returns:
            `[batch, tokens, heads, head_dim]` in the dtype of `v`.
        """
        ...
