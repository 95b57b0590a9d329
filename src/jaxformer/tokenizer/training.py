"""Training a tokenizer of one's own in the CodeGen manner."""

import json
from collections.abc import Iterable

import tokenizers
from tokenizers import Regex, models, pre_tokenizers, trainers

from jaxformer.errors import UserError
from jaxformer.tokenizer.tokenizer import END_OF_TEXT, WHITESPACE, Tokenizer, assemble

SMALLEST = 256 + 1 + len(WHITESPACE)
"""Every byte, the end of text and the white space."""


def train(texts: Iterable[str], vocab_size: int, *, progress: bool = False) -> Tokenizer:
    """Learn a byte-level BPE of `vocab_size` entries, white-space tokens included.

    No merge joins two digits, so that a number is read digit by digit: a small model copies and
    compares numbers far better so. The result is still split and merged exactly as GPT-2's is.

    Raises:
        UserError: If `vocab_size` leaves no room beyond single bytes.
    """
    if vocab_size < SMALLEST:
        raise UserError(f"A vocabulary needs at least {SMALLEST} entries; {vocab_size} is too few.")
    trainee = tokenizers.Tokenizer(models.BPE())
    trainee.pre_tokenizer = pre_tokenizers.Sequence(  # pyright: ignore[reportAttributeAccessIssue]
        [
            pre_tokenizers.Split(Regex(" ?[0-9]"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1 - len(WHITESPACE),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=progress,
    )
    trainee.train_from_iterator(texts, trainer)
    learnt = json.loads(trainee.to_str())["model"]
    vocab = learnt["vocab"] | {END_OF_TEXT: len(learnt["vocab"])}
    merges = [(left, right) for left, right in learnt["merges"]]
    return assemble(vocab, merges, WHITESPACE)
