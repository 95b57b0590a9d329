"""Training: recipes, optimizer, loss and the loop."""

from jaxformer.training.loop import train
from jaxformer.training.recipe import Recipe, Stage, read_recipe

__all__ = ["Recipe", "Stage", "read_recipe", "train"]
