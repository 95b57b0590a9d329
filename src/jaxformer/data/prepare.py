"""A small corpus made ready for training in memory, without the stages of a build."""

import functools
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jaxformer.data import encode, packing
from jaxformer.data.documents import Document, prompt_spans
from jaxformer.data.shards import Shard, TokenSet, read_shard, shard_path, write_shard


def prepare(documents: Iterable[Document], tokenizer: Path, context: int, folder: Path) -> TokenSet:
    """Encode documents and fit them into rows, once; what is in the folder already is used.

    Args:
        documents: Texts and conversations.
        tokenizer: The tokenizer's folder.
        context: Tokens read a row.
        folder: Where the one shard goes.
    """
    encoder = encode.load_encoder(tokenizer, encode.REFERENCE)
    if not shard_path(folder, 0, "npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_shard(folder, 0, _pack(documents, encoder, context))
    shard = read_shard(folder, 0, encoder.dtype, prompts=True)
    return TokenSet([functools.partial(_same, shard)], [len(shard.rows)])


def _same(shard: Shard) -> Shard:
    return shard


def _pack(documents: Iterable[Document], encoder: encode.Encoder, context: int) -> Shard:
    tokens, prompts = [], []
    for document in documents:
        [ids] = encoder.encode([document.text])
        marks = np.zeros(len(ids) + 1, np.uint8)
        if document.turns:
            offsets = encoder.offsets(document.text)
            marks[:-1] = encode.mark_prompts(offsets, prompt_spans(document.turns))
        tokens.append(np.append(ids, encoder.end_of_text).astype(encoder.dtype))
        prompts.append(marks)
    order, rows = packing.fit([len(ids) for ids in tokens], context)
    bounds = np.cumsum([0, *(len(tokens[number]) for number in order)])
    return Shard(
        tokens=np.concatenate([tokens[number] for number in order]),
        prompts=np.concatenate([prompts[number] for number in order]),
        documents=bounds,
        rows=rows,
        ledger=np.array(order),
    )
