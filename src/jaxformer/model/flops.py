"""How many floating-point operations a token costs."""

from jaxformer.model.config import CodeGenConfig
from jaxformer.model.parameters import count


def per_token(config: CodeGenConfig, context: int, *, frozen: bool = False) -> float:
    """Return the operations of training on one token in a row of `context` tokens.

    Six for each weight of a matrix that is multiplied (the embedding is looked up instead), and
    for attention twelve times width times layers for each token seen, of which causality leaves
    half. What is computed again does not count. Of `frozen` matrices no gradients are made, which
    leaves four for each weight.
    """
    looked_up = config.vocab_size * config.n_embd
    each = 4.0 if frozen else 6.0
    return each * (count(config) - looked_up) + 6.0 * config.n_layer * config.n_embd * context
