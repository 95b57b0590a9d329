"""From a stage's kind of data to documents with loss weights."""

from collections.abc import Iterable, Iterator, Sequence

from jaxformer.data.packing import Document
from jaxformer.tokenizer import Tokenizer
from jaxformer.transcript import HEADER, Turn, ask, render


def plain_documents(texts: Iterable[str], tokenizer: Tokenizer) -> Iterator[Document]:
    """Turn texts into documents that end with the end of text; every token counts."""
    for text in texts:
        ids = [*tokenizer.encode(text), tokenizer.eos_token_id]
        yield Document(ids, [1.0] * len(ids))


def conversation_document(
    turns: Sequence[Turn], tokenizer: Tokenizer, prompt_weight: float
) -> Document:
    """Render a conversation as a session does and weigh its tokens.

    The header and the words of the prompts count `prompt_weight`; the code, and the `#` that ends
    it, count 1.
    """
    quiet = [(0, len(HEADER))]
    for index, turn in enumerate(turns):
        start = len(render(turns[:index]))
        quiet.append((start + 1, start + len(ask(turn.prompt))))
    ids, offsets = tokenizer.encode_with_offsets(render(turns))
    weights, spans = [], iter(quiet)
    low, high = next(spans)
    for begin, _ in offsets:
        while begin >= high:
            low, high = next(spans, (len(ids) * 1000, len(ids) * 1000))
        weights.append(prompt_weight if begin >= low else 1.0)
    return Document([*ids, tokenizer.eos_token_id], [*weights, 1.0])
