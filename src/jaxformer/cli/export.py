"""A model in the form of other software."""

import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from jaxformer.cli import options


def export(
    model: Annotated[str, typer.Argument(help="`nano`, a model folder, or a name on the hub.")],
    folder: Annotated[Path, typer.Argument(help="Where to; it must not exist yet.")],
    to: Annotated[Literal["hf"], typer.Option(help="hf: a folder that transformers loads.")] = "hf",
    dtype: options.Dtype = "float32",
    as_json: options.AsJson = False,
) -> None:
    """Write a model's folder anew, in another dtype; it is kept if it reads back the same.

    In int8 and int4 the matrices are quantised: the folder is about a quarter or a sixth of
    float32's. `inspect MODEL --quantised int8` says what that costs. transformers loads it with
    compressed-tensors.

    Examples:

        jaxformer export nano nano-int8 --dtype int8

        jaxformer export Salesforce/codegen-2B-mono codegen-2B-int4 --dtype int4
    """
    from jaxformer.checkpoints import export as exports

    difference = exports.export(model, folder, dtype)
    size = sum(file.stat().st_size for file in folder.iterdir())
    if as_json:
        report = {"folder": str(folder), "to": to, "dtype": dtype, "bytes": size}
        print(json.dumps(report | {"largest_logit_difference": difference}))
    else:
        print(f"{folder}: {size / 1e6:,.1f} MB in {dtype}.")
        print(f"Read again, its logits are those of the model in {dtype} to {difference:.2g}.")
