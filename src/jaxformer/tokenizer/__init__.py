"""The CodeGen tokenizer, and training one's own."""

from jaxformer.tokenizer.tokenizer import END_OF_TEXT, INFILLING, WHITESPACE, Tokenizer, load
from jaxformer.tokenizer.training import train

__all__ = ["END_OF_TEXT", "INFILLING", "WHITESPACE", "Tokenizer", "load", "train"]
