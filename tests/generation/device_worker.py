"""The same requests on one device and on several, in a process of its own."""

import json
import os
import sys


def main() -> None:
    folder, devices, *dtypes = sys.argv[1:]
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    import jax

    import jaxformer as jf
    from jaxformer.checkpoints.layout import relayout
    from jaxformer.generation import Engine, Request, perplexity

    requests = [
        Request(prompt, max_new_tokens=30, temperature=temperature, seed=seed)
        for prompt in ("def f(a):\n    ", "import os\n" * 30)
        for temperature, seed in ((0.0, 0), (0.8, 1))
    ]

    def report(dtype: str, count: int) -> dict[str, object]:
        model = jf.load(folder, dtype=dtype, devices=count, packed=False)
        engine = Engine(model)
        engine.generate(requests[-2:])  # the prompt's pages are known then
        done = engine.generate(requests)
        held = [0] * int(devices)
        engine.submit(requests[0])
        engine.step()  # what follows is the cache as XLA left it
        for leaf in jax.tree.leaves((model.params, engine._cache)):
            for shard in leaf.addressable_shards:
                held[shard.device.id] += shard.data.nbytes
        return {
            "tokens": [completion.tokens for completion in done],
            "logprobs": [completion.logprobs for completion in done],
            "perplexity": perplexity(model, ["def f(a):\n    return a + 1\n"]),
            "held": held,
            "hits": engine.counters.hits,
        }

    counts = (1, int(devices))
    reports = {dtype: [report(dtype, count) for count in counts] for dtype in dtypes}

    whole = jf.load(folder, devices=counts[1], packed=False).params
    other = jf.load(folder, devices=counts[1], packed=False, mp_num=1).params
    relayout(other["blocks"], 1, 4)
    same = jax.tree.map(
        lambda x, y: bool((x == y).all()) and x.sharding == y.sharding, whole, other
    )
    print(json.dumps({"reports": reports, "laid out": jax.tree.all(same)}))


if __name__ == "__main__":
    main()
