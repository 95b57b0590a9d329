"""Engines that run one CodeGen checkpoint: ours, transformers, CTranslate2 and llama.cpp.

Each loads the same folder and answers three questions, over lines of JSON, in a process of its own:
the logits behind every token of a text, the seconds for decoding, the seconds for reading. Used by
`decode.py`, which also makes the folder.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

BEFORE = 64
"""Tokens of each prompt before the decoding that is timed."""
FIRST = 8
"""New tokens whose time is taken away from that of all, with that of reading the prompts."""


@dataclass
class Engine:
    """What is asked of every engine.

    Attributes:
        logits: Token ids -> `[tokens, vocabulary]`.
        decode: Prompts and a number of new tokens each -> seconds, the prompts' reading left out.
        prefill: Token ids -> seconds until the next token is known.
    """

    logits: Callable[[list[int]], np.ndarray]
    decode: Callable[[list[list[int]], int], float]
    prefill: Callable[[list[int]], float]


def seconds(work: Callable[[], object]) -> float:
    """Return how long a call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def ours(folder: Path, kind: str) -> Engine:
    """Jaxformer; kind is a dtype, `plain-` before it for XLA without the native kernels."""
    import jaxformer as jf
    from jaxformer.generation import Engine as Requests
    from jaxformer.generation import Request
    from jaxformer.generation.decoding import draw, read
    from jaxformer.generation.requests import sampling_of
    from jaxformer.model.inference import advance, empty_cache, scores

    packed = not kind.startswith("plain-")
    model = jf.load(str(folder), dtype=kind.removeprefix("plain-"), mp_num=4, packed=packed)
    greedy = sampling_of([None])

    def logits(tokens: list[int]) -> np.ndarray:
        cache = empty_cache(model.params, model.config, 1, len(tokens))
        ids, places = np.array([tokens], np.int32), np.arange(len(tokens))[None]
        states, _ = advance(model.params, model.config, ids, places, cache)
        return np.asarray(scores(model.params, model.config, states[0]))

    def generate(prompts: list[list[int]], new: int) -> None:
        engine = Requests(model, rows=len(prompts), memory=0, speculate=False)
        texts = [model.tokenizer.decode(prompt) for prompt in prompts]
        engine.generate([Request(text, new, temperature=0.0) for text in texts])
        assert engine.counters.new_tokens == new * len(prompts)

    def decoding(prompts: list[list[int]], new: int) -> float:
        first = seconds(lambda: generate(prompts, FIRST))
        return seconds(lambda: generate(prompts, FIRST + new)) - first

    def prefill(tokens: list[int]) -> float:
        def work() -> None:
            cache = empty_cache(model.params, model.config, 1, len(tokens))
            _, states = read(model, cache, tokens, 0)
            assert states is not None
            draw(model, states, len(tokens) - 1, greedy)

        return seconds(work)

    return Engine(logits, decoding, prefill)


def transformers(folder: Path, kind: str) -> Engine:
    """Transformers on PyTorch; kind is a dtype, `compiled-` before it with frozen weights."""
    import torch
    from torch._inductor import config as inductor
    from transformers import CodeGenForCausalLM, DynamicCache, StaticCache

    compiled = kind.startswith("compiled-")
    dtype = getattr(torch, kind.removeprefix("compiled-"))
    model: Any = CodeGenForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    inductor.freezing = True  # packs the weights for the processor
    step = torch.compile(model, dynamic=False) if compiled else model
    caches: dict[tuple[int, int], Any] = {}

    def cache_for(rows: int, slots: int) -> Any:
        if not compiled:
            return DynamicCache(config=model.config)
        if (rows, slots) not in caches:
            caches[rows, slots] = StaticCache(config=model.config, max_cache_len=slots)
        caches[rows, slots].reset()
        return caches[rows, slots]

    @torch.no_grad()
    def logits(tokens: list[int]) -> np.ndarray:
        return model(torch.tensor([tokens])).logits[0].float().numpy()

    @torch.no_grad()
    def prefill(tokens: list[int]) -> float:
        cache = cache_for(1, len(tokens))

        def work() -> None:
            places = {"cache_position": torch.arange(len(tokens))} if compiled else {}
            ids = torch.tensor([tokens])
            step(ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **places)

        return seconds(work)

    @torch.no_grad()
    def decoding(prompts: list[list[int]], new: int) -> float:
        size = len(prompts[0])
        cache = cache_for(len(prompts), size + new)
        places = {"cache_position": torch.arange(size)} if compiled else {}
        ids = torch.tensor(prompts)
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **places)
        last = out.logits[:, -1].argmax(-1, keepdim=True)

        def work() -> None:
            nonlocal last
            for i in range(new):
                places = {"cache_position": torch.tensor([size + i])} if compiled else {}
                out = step(last, past_key_values=cache, use_cache=True, **places)
                last = out.logits[:, -1].argmax(-1, keepdim=True)

        return seconds(work)

    return Engine(logits, decoding, prefill)


def ctranslate2(folder: Path, kind: str) -> Engine:
    """CTranslate2, converted from the folder."""
    ct = import_module("ctranslate2")

    converted = folder / f"ctranslate2-{kind}"
    if not converted.exists():
        ct.converters.TransformersConverter(str(folder)).convert(str(converted), quantization=kind)
    threads = len(os.sched_getaffinity(0))
    generator = ct.Generator(str(converted), compute_type=kind, intra_threads=threads)
    names = json.loads((converted / "vocabulary.json").read_text("utf-8"))

    def words(prompts: Sequence[list[int]]) -> list[list[str]]:
        return [[names[token] for token in prompt] for prompt in prompts]

    def logits(tokens: list[int]) -> np.ndarray:
        return np.array(generator.forward_batch([tokens]))[0]  # pyright: ignore

    def generate(prompts: list[list[int]], new: int) -> None:
        generator.generate_batch(
            *(words(prompts),), max_length=new, min_length=new, sampling_topk=1,
            include_prompt_in_result=False, max_batch_size=len(prompts),
        )  # fmt: skip

    def decoding(prompts: list[list[int]], new: int) -> float:
        first = seconds(lambda: generate(prompts, FIRST))
        return seconds(lambda: generate(prompts, FIRST + new)) - first

    return Engine(logits, decoding, lambda tokens: seconds(lambda: generate([tokens], 1)))


def llama(folder: Path, kind: str) -> Engine:
    """llama.cpp, from the folder as a Phi-2 model in GGUF; kind is bf16, q8_0 or q4_0."""
    import ctypes

    from phi_gguf import write_gguf

    cpp = import_module("llama_cpp")

    quiet = cpp.llama_log_callback(lambda *_: None)
    cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    cpp.llama_backend_init()
    whole, path = folder / "bf16.gguf", folder / f"{kind}.gguf"
    if not whole.exists():
        write_gguf(folder, whole)
    if not path.exists():
        how = cpp.llama_model_quantize_default_params()
        how.ftype = {"q8_0": cpp.LLAMA_FTYPE_MOSTLY_Q8_0, "q4_0": cpp.LLAMA_FTYPE_MOSTLY_Q4_0}[kind]
        how.pure = True
        assert cpp.llama_model_quantize(str(whole).encode(), str(path).encode(), how) == 0
    model = cpp.llama_model_load_from_file(str(path).encode(), cpp.llama_model_default_params())
    options = cpp.llama_context_default_params()
    options.n_ctx, options.n_seq_max, options.n_batch, options.n_ubatch = 16 * 576, 16, 512, 512
    options.n_threads = options.n_threads_batch = len(os.sched_getaffinity(0))
    options.kv_unified = False
    context = cpp.llama_init_from_model(model, options)
    memory = cpp.llama_get_memory(context)
    entries = cpp.llama_vocab_n_tokens(cpp.llama_model_get_vocab(model))
    batch = cpp.llama_batch_init(512, 0, 16)

    def eat(items: Sequence[tuple[int, int, int, bool]]) -> None:
        """Decode tokens (id, position, sequence, whether its logits are wanted)."""
        batch.n_tokens = len(items)
        for i, (token, place, row, wanted) in enumerate(items):
            batch.token[i], batch.pos[i], batch.logits[i] = token, place, wanted
            batch.n_seq_id[i], batch.seq_id[i][0] = 1, row
        assert cpp.llama_decode(context, batch) == 0

    def of(place: int) -> np.ndarray:
        return np.ctypeslib.as_array(cpp.llama_get_logits_ith(context, place), (entries,))

    def logits(tokens: list[int]) -> np.ndarray:
        cpp.llama_memory_clear(memory, True)
        eat([(token, i, 0, True) for i, token in enumerate(tokens)])
        return np.stack([of(i).copy() for i in range(len(tokens))])

    def prefill(tokens: list[int]) -> float:
        cpp.llama_memory_clear(memory, True)
        items = [(t, i, 0, i == len(tokens) - 1) for i, t in enumerate(tokens)]
        return seconds(lambda: (eat(items), of(len(tokens) - 1).argmax()))

    def decoding(prompts: list[list[int]], new: int) -> float:
        cpp.llama_memory_clear(memory, True)
        last = []
        for row, prompt in enumerate(prompts):
            eat([(t, i, row, i == len(prompt) - 1) for i, t in enumerate(prompt)])
            last.append(int(of(len(prompt) - 1).argmax()))

        def work() -> None:
            for step in range(new):
                place = len(prompts[0]) + step
                eat([(token, place, row, True) for row, token in enumerate(last)])
                last[:] = [int(of(row).argmax()) for row in range(len(last))]

        return seconds(work)

    return Engine(logits, decoding, prefill)


ENGINES = {"ours": ours, "transformers": transformers, "ctranslate2": ctranslate2, "llama": llama}


def main() -> None:
    """Answer questions until the input ends: `[name, arguments]` a line."""
    family, kind, folder = sys.argv[1:]
    engine = ENGINES[family](Path(folder), kind)
    print("ready", flush=True)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        answer = getattr(engine, name)(*arguments)
        if isinstance(answer, np.ndarray):
            path = Path(folder) / f"{family}-{kind}.npy"
            np.save(path, answer)
            answer = str(path)
        print("answer " + json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
