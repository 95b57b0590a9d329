"""Requests on several devices, in a process of its own: JAX wants to know before it starts."""

import json
import os
import sys
from collections import Counter
from typing import Any


def main() -> None:
    folder, count, *dtypes = sys.argv[1:]
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={count}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    reports = {dtype: report(folder, dtype, int(count)) for dtype in dtypes}
    print(json.dumps({"reports": reports, "laid out": laid_out(folder, int(count))}))


def report(folder: str, dtype: str, devices: int) -> dict[str, Any]:
    """Return what is written, and the bytes of weights and cache on each device."""
    import jax

    import jaxformer as jf
    from jaxformer.generation import Engine, Request

    requests = [
        Request("def f(a):\n    ", max_new_tokens=24, temperature=0.0),
        Request("import os\n" * 30, max_new_tokens=24, temperature=0.8, seed=1),
    ]
    model = jf.load(folder, dtype=dtype, devices=devices, packed=False)
    engine = Engine(model)
    first, done = engine.generate(requests), engine.generate(requests)  # then pages are known
    engine.submit(requests[0])
    engine.step()  # what follows is the cache as XLA left it
    held: Counter[int] = Counter()
    for leaf in jax.tree.leaves((model.params, engine._cache)):
        for shard in leaf.addressable_shards:
            held[shard.device.id] += shard.data.nbytes
    return {
        "prompts": [model.tokenizer.encode(each.prompt) for each in (*requests, *requests)],
        "tokens": [list(completion.tokens) for completion in (*first, *done)],
        "logprobs": [list(completion.logprobs) for completion in (*first, *done)],
        "held": list(held.values()),
        "hits": engine.counters.hits,
    }


def laid_out(folder: str, devices: int) -> bool:
    """Tell whether weights read with another layout are put right on their devices."""
    import jax

    import jaxformer as jf
    from jaxformer.checkpoints.layout import relayout

    whole, other = (
        jf.load(folder, devices=devices, packed=False, mp_num=mp_num).params for mp_num in (4, 1)
    )
    relayout(other["blocks"], 1, 4)
    same = jax.tree.map(
        lambda x, y: bool((x == y).all()) and x.sharding == y.sharding, whole, other
    )
    return jax.tree.all(same)


if __name__ == "__main__":
    main()
