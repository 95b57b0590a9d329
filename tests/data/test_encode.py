"""The fast encoder gives the reference's ids, or is not used."""

from dataclasses import replace

import numpy as np

from conftest import sources
from jaxformer.data.encode import FAST, REFERENCE, load_encoder, trusted
from jaxformer.tokenizer import END_OF_TEXT, load


def test_both_encoders_agree_with_our_own_tokenizer(codegen_tokenizer_folder, tmp_path):
    tokenizer = load(codegen_tokenizer_folder)
    tokenizer.save(tmp_path)
    ordinary = [text for text in sources(".py", 60) if END_OF_TEXT not in text]
    texts = [*ordinary, "", "  \t\t x", "naïve 🙂 日本語", "\x00\x01"]
    want = [tokenizer.encode(text) for text in texts]
    for name in (FAST, REFERENCE):
        encoder = load_encoder(tmp_path, name)
        assert [ids.tolist() for ids in encoder.encode(texts)] == want
        assert encoder.end_of_text == tokenizer.eos_token_id == 50256
        assert encoder.dtype == np.dtype("<u2")
    assert trusted(load_encoder(tmp_path, FAST), texts).fast is not None


def test_a_text_that_speaks_of_special_tokens_has_none(small_tokenizer, tmp_path):
    small_tokenizer.with_infilling().save(tmp_path)
    text = 'END = "<|endoftext|>"\nMIDDLE = "<|fim_middle|>"\n'
    for name in (FAST, REFERENCE):
        encoder = load_encoder(tmp_path, name)
        first, other = encoder.encode([text, "x = 1\n"])
        assert first.max() < encoder.end_of_text
        assert small_tokenizer.decode(first.tolist()) == text
        assert small_tokenizer.decode(other.tolist()) == "x = 1\n"


class Faulty:
    """Stands for an encoder with a fault: it forgets the last character."""

    def __init__(self, real):
        self.real = real

    def encode(self, text):
        return self.real.encode(text[:-1])


def test_an_encoder_that_differs_is_not_used(small_tokenizer, tmp_path):
    small_tokenizer.save(tmp_path)
    texts = sources(".py", 5)
    encoder = load_encoder(tmp_path, FAST)
    assert trusted(encoder, texts) is encoder
    faulty = replace(encoder, fast=Faulty(encoder.fast))
    assert trusted(faulty, texts).fast is None
    wanted = load_encoder(tmp_path, REFERENCE).encode(texts)
    for got, want in zip(trusted(faulty, texts).encode(texts), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
