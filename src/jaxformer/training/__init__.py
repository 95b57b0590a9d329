"""Training: recipes, optimizer, loss, the step, the loop, LoRA."""

from jaxformer.training.options import Options
from jaxformer.training.recipe import Recipe, Stage, read_recipe
from jaxformer.training.run import train

__all__ = ["Options", "Recipe", "Stage", "read_recipe", "train"]
