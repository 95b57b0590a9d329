"""A CodeGen folder as a Phi-2 model in GGUF, for llama.cpp, which has no CodeGen.

The two are the same network but for names, biases (zeros here) and the rotation's pairs: CodeGen
turns neighbours (0, 1), (2, 3), …, Phi halves (0, n), (1, n + 1), …; rows of q and k move.
"""

from importlib import import_module
from pathlib import Path

import numpy as np

from jaxformer.checkpoints import read_config, read_params


def write_gguf(folder: Path, path: Path) -> None:
    """Write the weights in bfloat16, without a vocabulary."""
    gguf = import_module("gguf")
    config = read_config(folder)
    params = read_params(folder, config, "float32", 4)
    writer = gguf.GGUFWriter(path, "phi2")
    writer.add_context_length(config.n_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.inner_dim)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_head_count_kv(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_rope_dimension_count(config.rotary_dim)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config.vocab_size)

    def matrix(name: str, value: np.ndarray) -> None:
        raw = gguf.quants.quantize(np.ascontiguousarray(value), gguf.GGMLQuantizationType.BF16)
        writer.add_tensor(name, raw, raw_dtype=gguf.GGMLQuantizationType.BF16)

    def vector(name: str, value: np.ndarray) -> None:
        writer.add_tensor(name, np.asarray(value, np.float32))

    def halves(value: np.ndarray) -> np.ndarray:
        heads = value.reshape(config.n_head, config.head_dim, -1)
        turned = heads[:, : config.rotary_dim]
        rest = heads[:, config.rotary_dim :]
        return np.concatenate([turned[:, 0::2], turned[:, 1::2], rest], axis=1).reshape(value.shape)

    width, inner = config.n_embd, config.inner_dim
    matrix("token_embd.weight", np.asarray(params["embedding"]))
    for i, block in enumerate(params["blocks"]):
        q, k, v = (np.asarray(block[name]).T for name in "qkv")
        vector(f"blk.{i}.attn_norm.weight", block["ln"]["scale"])
        vector(f"blk.{i}.attn_norm.bias", block["ln"]["bias"])
        matrix(f"blk.{i}.attn_qkv.weight", np.concatenate([halves(q), halves(k), v]))
        vector(f"blk.{i}.attn_qkv.bias", np.zeros(3 * width))
        matrix(f"blk.{i}.attn_output.weight", np.asarray(block["out"]).T)
        vector(f"blk.{i}.attn_output.bias", np.zeros(width))
        matrix(f"blk.{i}.ffn_up.weight", np.asarray(block["fc_in"]).T)
        vector(f"blk.{i}.ffn_up.bias", np.asarray(block["fc_in_bias"]).reshape(inner))
        matrix(f"blk.{i}.ffn_down.weight", np.asarray(block["fc_out"]).T)
        vector(f"blk.{i}.ffn_down.bias", block["fc_out_bias"])
    vector("output_norm.weight", params["ln_f"]["scale"])
    vector("output_norm.bias", params["ln_f"]["bias"])
    matrix("output.weight", np.asarray(params["lm_head"]).T)
    vector("output.bias", params["lm_head_bias"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
