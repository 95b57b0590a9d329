"""Generation: the engine that completes texts, and the scoring of texts."""

from jaxformer.generation.complete import complete
from jaxformer.generation.counters import Counters
from jaxformer.generation.engine import Engine, generate
from jaxformer.generation.requests import Completion, Request
from jaxformer.generation.scoring import Score, perplexity, score

__all__ = [
    "Completion",
    "Counters",
    "Engine",
    "Request",
    "Score",
    "complete",
    "generate",
    "perplexity",
    "score",
]
