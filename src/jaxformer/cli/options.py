"""Options that several commands share."""

from typing import Annotated

import typer

ModelName = Annotated[
    str, typer.Option("--model", "-m", help="`nano`, a model folder, or a name on the hub.")
]
Dtype = Annotated[str, typer.Option(help="float32, bfloat16, float16, int8 or int4.")]
Devices = Annotated[int, typer.Option(min=1, help="How many devices share the weights.")]
Draft = Annotated[
    str | None,
    typer.Option(
        help="A smaller model of the same family that writes ahead, which this one checks."
    ),
]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token each time.")]
TopP = Annotated[float, typer.Option(help="Draw among the tokens that make up this probability.")]
TopK = Annotated[int, typer.Option(help="Draw among this many likeliest tokens; 0 for all.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result.")]
Candidates = Annotated[
    int, typer.Option(min=1, help="Of each turn; execution chooses among several.")
]
Unprotected = Annotated[
    bool, typer.Option("--unprotected", help="Run programs even where there is no sandbox.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs to read.")]
