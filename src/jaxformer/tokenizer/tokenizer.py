"""The CodeGen tokenizer: byte-level BPE, an end-of-text token and runs of white space."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors

from jaxformer.errors import UserError

END_OF_TEXT = "<|endoftext|>"
WHITESPACE = [" " * n for n in range(31, 1, -1)] + ["\t" * n for n in range(9, 1, -1)]
"""The 38 added tokens in the order of their ids; they are not special."""
INFILLING = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
"""Sentinels of fill-in-the-middle, which stand before the parts of a document."""


@dataclass(frozen=True)
class Tokenizer:
    """Turns text into token ids and back; wraps a `tokenizers.Tokenizer`."""

    backend: tokenizers.Tokenizer

    @cached_property
    def vocab_size(self) -> int:
        """Number of entries; ids from here up are padding rows of a model."""
        return max(self.backend.get_vocab().values()) + 1

    @property
    def vocabulary(self) -> dict[str, int]:
        """The id of every entry."""
        return self.backend.get_vocab()

    @cached_property
    def eos_token_id(self) -> int:
        """Id of the end-of-text token, which also serves as bos and pad."""
        return self.backend.get_vocab()[END_OF_TEXT]

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; nothing is added."""
        return self._encode(text).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids, and for each the half-open range of characters that it stands for."""
        encoding = self._encode(text)
        return encoding.ids, encoding.offsets

    def _encode(self, text: str) -> tokenizers.Encoding:
        try:
            return self.backend.encode(text, add_special_tokens=False)
        except TypeError as error:  # lone surrogates: bytes that were no UTF-8
            raise UserError("The text is not valid UTF-8.") from error

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text; bytes that are no UTF-8 (an unfinished character) become U+FFFD."""
        return self.backend.decode(list(ids), skip_special_tokens=False)

    def with_infilling(self) -> "Tokenizer":
        """Return this tokenizer with the sentinels of fill-in-the-middle at its end."""
        backend = tokenizers.Tokenizer.from_str(self.backend.to_str())
        backend.add_special_tokens(
            [AddedToken(token, special=True, normalized=False) for token in INFILLING]
        )
        return Tokenizer(backend)

    def save(self, folder: Path | str) -> None:
        """Write the files from which this class and transformers load the same tokenizer."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        serial = json.loads(self.backend.to_str())
        vocab = serial["model"]["vocab"]
        merges = [m if isinstance(m, str) else " ".join(m) for m in serial["model"]["merges"]]
        added = {t["content"]: t["id"] for t in serial["added_tokens"] if not t["special"]}
        described = {
            str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in serial["added_tokens"]
        }
        names = {f"{role}_token": END_OF_TEXT for role in ("bos", "eos", "unk")}
        config = {
            "tokenizer_class": "CodeGenTokenizer",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            **names,
            "added_tokens_decoder": described,
        }
        (folder / "tokenizer.json").write_text(self.backend.to_str(pretty=True), "utf-8")
        (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n", "utf-8")
        _write_json(folder / "vocab.json", vocab)
        _write_json(folder / "added_tokens.json", added)
        _write_json(folder / "special_tokens_map.json", names)
        _write_json(folder / "tokenizer_config.json", config)


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", "utf-8")


def assemble(vocab: dict[str, int], merges: list[tuple[str, str]], added: list[str]) -> Tokenizer:
    """Build a tokenizer in GPT-2's manner.

    Args:
        vocab: Ids by token, the end-of-text token among them.
        merges: Pairs in order of priority.
        added: Tokens that follow the vocabulary, in the order of their ids.
    """
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    if END_OF_TEXT in vocab:
        backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    backend.add_tokens([AddedToken(token, special=False, normalized=True) for token in added])
    return Tokenizer(backend)


def load(folder: Path | str) -> Tokenizer:
    """Read `tokenizer.json`, or else `vocab.json`, `merges.txt` and `added_tokens.json`.

    Raises:
        UserError: If the files are missing or damaged.
    """
    folder = Path(folder)
    whole, vocab_file, merges_file = (
        folder / name for name in ("tokenizer.json", "vocab.json", "merges.txt")
    )
    try:
        if whole.exists():
            tokenizer = Tokenizer(tokenizers.Tokenizer.from_file(str(whole)))
        elif vocab_file.exists() and merges_file.exists():
            vocab = json.loads(vocab_file.read_text("utf-8"))
            lines = merges_file.read_text("utf-8").split("\n")
            pairs = [line.split(" ") for line in lines if line and not line.startswith("#version")]
            added_file = folder / "added_tokens.json"
            added = json.loads(added_file.read_text("utf-8")) if added_file.exists() else {}
            order = sorted((t for t in added if t not in vocab), key=lambda token: added[token])
            tokenizer = assemble(vocab, [(a, b) for a, b in pairs], order)
        else:
            raise UserError(
                f"{folder} has no tokenizer: no tokenizer.json, nor vocab.json and merges.txt."
            )
    except UserError:
        raise
    except Exception as error:  # the library raises bare Exception on a damaged file
        reason = " ".join(str(error).split())
        raise UserError(f"The tokenizer in {folder} cannot be read: {reason}.") from error
    if tokenizer.backend.token_to_id(END_OF_TEXT) is None:
        raise UserError(f"The tokenizer in {folder} has no {END_OF_TEXT} token; is it CodeGen's?")
    return tokenizer
