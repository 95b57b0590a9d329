"""The shape of a CodeGen model, under the names that Hugging Face's `config.json` uses."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class CodeGenConfig(BaseModel):
    """A decoder-only transformer whose attention and MLP read the same LayerNorm (CodeGen).

    Frozen and hashable, so that it can be a static argument of a compiled function.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    vocab_size: int = 51200
    """Rows of the embedding, padding rows included."""
    n_positions: int = 2048
    """The context: the most tokens that the model sees at once."""
    n_embd: int
    n_layer: int
    n_head: int
    rotary_dim: int
    """How many leading dimensions of each query and key head are rotated."""
    n_inner: int | None = None
    """Width of the MLP; four times `n_embd` when absent."""
    layer_norm_epsilon: float = 1e-5
    bos_token_id: int = 50256
    eos_token_id: int = 50256

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        sizes = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "rotary_dim")
        for name in (*sizes, *(["n_inner"] if self.n_inner is not None else [])):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.n_embd % self.n_head:
            raise ValueError(f"n_embd {self.n_embd} is not a multiple of n_head {self.n_head}")
        if self.rotary_dim > self.head_dim or self.rotary_dim % 2:
            raise ValueError(
                f"rotary_dim {self.rotary_dim} must be even and at most the head's {self.head_dim}"
            )
        return self

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head."""
        return self.n_embd // self.n_head

    @property
    def inner_dim(self) -> int:
        """Width of the MLP."""
        return self.n_inner or 4 * self.n_embd


RELEASED = {
    "350M": CodeGenConfig(n_layer=20, n_embd=1024, n_head=16, rotary_dim=32),
    "2B": CodeGenConfig(n_layer=32, n_embd=2560, n_head=32, rotary_dim=64),
    "6B": CodeGenConfig(n_layer=33, n_embd=4096, n_head=16, rotary_dim=64),
    "16B": CodeGenConfig(n_layer=34, n_embd=6144, n_head=24, rotary_dim=64),
}
"""The released sizes; each exists as `nl`, `multi` and `mono`."""
