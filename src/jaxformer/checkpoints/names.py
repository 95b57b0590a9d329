"""What the tensors of Hugging Face CodeGen files are called, and the parameters in them."""

from typing import Any

from jaxformer.model import CodeGenConfig, Params, Spec

_BLOCK = {
    ("ln", "scale"): "ln_1.weight",
    ("ln", "bias"): "ln_1.bias",
    ("out",): "attn.out_proj.weight",
    ("fc_in",): "mlp.fc_in.weight",
    ("fc_in_bias",): "mlp.fc_in.bias",
    ("fc_out",): "mlp.fc_out.weight",
    ("fc_out_bias",): "mlp.fc_out.bias",
}
_OUTSIDE = {
    ("embedding",): "transformer.wte.weight",
    ("ln_f", "scale"): "transformer.ln_f.weight",
    ("ln_f", "bias"): "transformer.ln_f.bias",
    ("lm_head",): "lm_head.weight",
    ("lm_head_bias",): "lm_head.bias",
}

Keys = tuple[Any, ...]
"""The way to a parameter in its tree."""


def at(tree: Any, path: Keys) -> Any:
    """Return what stands in a tree at the end of a way."""
    for key in path:
        tree = tree[key]
    return tree


def files_table(config: CodeGenConfig) -> dict[str, tuple[Keys, ...]]:
    """Map each tensor of the files to the parameter in it, or to q, k and v where it is fused."""
    names: dict[str, tuple[Keys, ...]] = {name: (path,) for path, name in _OUTSIDE.items()}
    for layer in range(config.n_layer):
        block = ("blocks", layer)
        prefix = f"transformer.h.{layer}."
        names |= {prefix + name: ((*block, *path),) for path, name in _BLOCK.items()}
        names[prefix + "attn.qkv_proj.weight"] = ((*block, "q"), (*block, "k"), (*block, "v"))
    return names


def file_shape(tree: Params, paths: tuple[Keys, ...]) -> tuple[int, ...]:
    """Return a tensor's shape in the files, where all matrices but the embedding are [out, in]."""
    spec: Spec = at(tree, paths[0])
    if paths == (("embedding",),) or not spec.is_matrix:
        return spec.shape
    return (len(paths) * spec.shape[1], spec.shape[0])


def is_quantised(specs: Params, path: Keys) -> bool:
    """Whether a parameter is one that is quantised where any are."""
    return path != ("embedding",) and at(specs, path).is_matrix
