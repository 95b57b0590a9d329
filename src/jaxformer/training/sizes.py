"""One dial: what follows from a model's size."""

import math
import re
from dataclasses import dataclass

from jaxformer.checkpoints import read_config
from jaxformer.checkpoints.hub import find
from jaxformer.errors import UserError
from jaxformer.model import RELEASED, CodeGenConfig, count
from jaxformer.tokenizer import Tokenizer
from jaxformer.training.recipe import Recipe, Stage

HEAD_DIM = 64
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9}


def model_config(recipe: Recipe, tokenizer: Tokenizer) -> CodeGenConfig:
    """Return the shape of a recipe's model.

    Raises:
        UserError: If there is no such model or size, or it and the tokenizer or the recipe's
            context do not go together.
    """
    if recipe.model:
        config = CodeGenConfig.model_validate(recipe.model.model_dump())
    elif recipe.size:
        config = shape(recipe.size, tokenizer.vocab_size, recipe.context)
    else:
        config = read_config(find(str(recipe.start), weights=False))
    if recipe.context > config.n_positions:
        raise UserError(
            f"The recipe's context is {recipe.context}, but {recipe.start or 'the model'} sees "
            f"only {config.n_positions} tokens; set a smaller context."
        )
    if tokenizer.vocab_size > config.vocab_size:
        raise UserError(
            f"The tokenizer has {tokenizer.vocab_size:,} entries, the model only "
            f"{config.vocab_size:,}; set a larger vocab_size or the model's own tokenizer."
        )
    end = tokenizer.eos_token_id
    return config.model_copy(update={"bos_token_id": end, "eos_token_id": end})


def shape(size: str, vocabulary: int, context: int) -> CodeGenConfig:
    """Return a released shape, or one of about so many parameters.

    Others have heads of 64 dimensions, of which 32 are rotated, and are about as deep for their
    width as the released ones: a layer for every 48 of width below 500M and every 80 above, one or
    two more or less where that comes nearer.

    Args:
        size: `350M`, `2B`, `6B`, `16B`, or any number with K, M or B behind it.
        vocabulary: Entries of the tokenizer.
        context: Tokens that the model shall see at once.

    Raises:
        UserError: If `size` is no size.
    """
    step = 1024 if vocabulary > 8192 else 64
    fixed = {"vocab_size": -(-vocabulary // step) * step, "n_positions": context}
    if size in RELEASED:
        return RELEASED[size].model_copy(update=fixed | {"n_positions": max(context, 2048)})
    wanted = _parameters(size)

    def candidate(heads: int, more: int = 0) -> CodeGenConfig:
        width = heads * HEAD_DIM
        layers = max(2, round(width / (48 if wanted < 5e8 else 80)) + more)
        return CodeGenConfig(
            n_embd=width, n_layer=layers, n_head=heads, rotary_dim=HEAD_DIM // 2, **fixed
        )

    heads = 1
    while count(candidate(heads + 1)) <= wanted and heads < 256:
        heads += 1
    near = [candidate(heads + wider, more) for wider in (0, 1) for more in (0, -1, 1, -2, 2)]
    return min(near, key=lambda config: abs(count(config) - wanted))


def _parameters(size: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMB])", size.strip().upper())
    if not match or not 1e4 <= (number := float(match[1]) * _UNITS[match[2]]) <= 1e12:
        raise UserError(
            f"{size!r} is no size of a model; write 350M, 2B, 6B, 16B or the like, such as 40M."
        )
    return number


@dataclass(frozen=True)
class Pace:
    """How long and how fast a stage trains, nothing left open."""

    steps: int
    batch: int
    """Rows a step."""
    learning_rate: float
    warmup: int
    anneal: int
    """The step at which the learning rate reaches its floor."""


def derive(recipe: Recipe, stage: Stage, config: CodeGenConfig) -> Pace:
    """Fill in what a stage leaves open, from the model's size N.

    The released sizes lie near these laws: a first stage's peak learning rate of
    3e-4 · (350M / N)^0.31, 0.6 of it in later stages; batches of 0.5M · (N / 350M)^0.5 tokens;
    a warm-up of 3,000 steps, but at most a twentieth of all. 20 N tokens are read in all, of
    which the first of several stages takes 54 % (Hoffmann et al., 2022, for the number; the
    released runs for the share).
    """
    size = count(config)
    first = stage.name == recipe.stages[0].name
    ideal = 2**19 * math.sqrt(size / 350e6) / recipe.context
    batch = stage.batch or max(8, 2 ** round(math.log2(ideal)))
    later = len(recipe.stages) - 1
    share = 1.0 if not later else 0.54 if first else 0.46 / later
    tokens = stage.tokens or 20 * size * share
    steps = stage.steps or math.ceil(tokens / (batch * recipe.context))
    rate = 3e-4 * (350e6 / size) ** 0.31 * (1.0 if first and not recipe.start else 0.6)
    warmup = stage.warmup if stage.warmup is not None else min(3000, steps // 20)
    if warmup >= (stage.anneal or steps):
        raise UserError(
            f"Stage {stage.name} warms up for {warmup} of {stage.anneal or steps} steps; "
            "set a shorter warmup."
        )
    return Pace(steps, batch, stage.learning_rate or rate, warmup, stage.anneal or steps)
