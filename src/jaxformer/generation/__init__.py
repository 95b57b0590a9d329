"""Generation: sampling, stopping while generating, and scoring of text."""

from jaxformer.generation.complete import complete
from jaxformer.generation.engine import Completion, Request, generate
from jaxformer.generation.scoring import Score, score

__all__ = ["Completion", "Request", "Score", "complete", "generate", "score"]
