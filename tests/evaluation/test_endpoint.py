"""An endpoint writes what the engine behind it writes."""

import contextlib
import http.server
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import jaxformer as jf
from jaxformer.errors import UserError
from jaxformer.evaluation.benchmarks import open_exam
from jaxformer.evaluation.endpoint import Endpoint
from jaxformer.evaluation.evaluate import Setting, of_endpoint
from jaxformer.evaluation.runner import Drawing, Runner, complete
from jaxformer.generation import Engine, Request
from jaxformer.generation import generate as generate_all
from jaxformer.sandbox import DEFAULT_LIMITS
from jaxformer.synthesis.perplexity import prompt_perplexities, prompt_perplexity
from jaxformer.transcript import Turn

PROBLEM = {
    "id": "a", "prompts": ["Make a list called nums with {nums}.", "Print the list nums."],
    "inputs": [{"nums": [3, 1, 2]}, {"nums": [9, 5]}], "outputs": [[3, 1, 2], [9, 5]],
}  # fmt: skip


@pytest.fixture(scope="module")
def nano() -> jf.Model:
    return jf.load("nano")


@contextlib.contextmanager
def serving(
    model: jf.Model, failures: int = 0, lasts: int = 10**9, echoes: bool | None = True
) -> Iterator[str]:
    """A server in the manner of OpenAI's that streams the model's tokens one by one."""
    lock = threading.Lock()
    left = [failures]

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            known = {"id": "nano", "max_model_len": model.config.n_positions}
            self.reply(200, json.dumps({"data": [known]}).encode())

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            room = asked.get("truncate_prompt_tokens", 0) + asked["max_tokens"]
            assert asked.get("echo") or room == model.config.n_positions
            assert asked["max_tokens"] <= model.config.n_positions // 2
            with lock:
                left[0] -= 1
                if left[0] >= 0:
                    return self.reply(503, b"busy")
                if asked["prompt"] == "" or left[0] < -lasts:
                    return self.reply(400, b"no more")
                if asked.get("echo"):
                    return self.echo(asked["prompt"])
                request = Request(
                    asked["prompt"], asked["max_tokens"], asked["temperature"], asked["top_p"],
                    seed=asked["seed"],
                )  # fmt: skip
                [found] = generate_all(model, [request])
            self.send_response(200)
            self.end_headers()
            text = ""
            with contextlib.suppress(ConnectionError):  # the client has heard enough
                for number in range(len(found.tokens) + 1):
                    now = model.tokenizer.decode(found.tokens[:number])
                    event = {"choices": [{"text": now[len(text) :], "finish_reason": None}]}
                    text = now
                    self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                end = "length" if found.stop_reason == "length" else "stop"
                event = {"choices": [{"text": "", "finish_reason": end}]}
                self.wfile.write(f"data: {json.dumps(event)}\n\ndata: [DONE]\n\n".encode())
            return None

        def echo(self, prompt: str) -> None:
            """Answer with the prompt and one token more, as OpenAI's server did."""
            if echoes is None:
                return self.reply(500, b"only no echo is supported")
            if not echoes:
                choice = {"text": "x", "logprobs": {"text_offset": [0], "token_logprobs": [-1.0]}}
                return self.reply(200, json.dumps({"choices": [choice]}).encode())
            [found] = jf.score(model, [prompt])
            starts = [low for low, _ in found.spans] + [len(prompt)]
            logprobs = {"text_offset": starts, "token_logprobs": [*found.logprobs, -0.5]}
            choice = {"text": prompt + "x", "logprobs": logprobs}
            return self.reply(200, json.dumps({"choices": [choice]}).encode())

        def reply(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with listening(Handler) as url:
        yield url


@contextlib.contextmanager
def listening(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """A server of ours for a while."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_samples_are_those_of_the_model_behind_it(nano: jf.Model, tmp_path: Path):
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(PROBLEM) + "\n")
    drawing = Drawing(samples=2, temperature=0.7, context=nano.config.n_positions, rows=4)
    found = {}
    with serving(nano, failures=2) as url:
        for name in ("here", "there"):
            folder = tmp_path / name
            folder.mkdir()
            writer = Engine(nano, rows=4) if name == "here" else Endpoint(url, "nano", 4)
            exam = open_exam("mtpb", file, mode="both")
            runner = Runner(exam, writer, drawing, DEFAULT_LIMITS)
            lines = complete(exam, 2, runner.judged, folder).read_text().splitlines()
            found[name] = [json.loads(line) for line in lines]
    for here, there in zip(found["here"], found["there"], strict=True):
        for name in ("id", "mode", "case", "sample", "passed", "status", "program"):
            assert here[name] == there[name]
        reasons = [[turn["stop_reason"] for turn in one["turns"]] for one in (here, there)]
        assert reasons[0] == reasons[1]


def test_what_is_finished_is_kept_when_the_endpoint_fails(nano: jf.Model, tmp_path: Path):
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(PROBLEM) + "\n")
    exam = open_exam("mtpb", file)
    drawing = Drawing(samples=6, temperature=0.7, context=nano.config.n_positions, rows=1)

    def judged(url: str):
        return Runner(exam, Endpoint(url, "nano", 1), drawing, DEFAULT_LIMITS).judged

    with serving(nano, lasts=15) as url, pytest.raises(UserError, match="is kept"):
        complete(exam, 6, judged(url), tmp_path)
    part = tmp_path / "samples.part.jsonl"
    kept = part.read_text().splitlines()
    assert 0 < len(kept) < 12
    with serving(nano) as url:
        whole = complete(exam, 6, judged(url), tmp_path).read_text().splitlines()
    assert len(whole) == 12
    assert set(kept) <= set(whole)


def test_a_refusal_and_a_dead_endpoint_are_one_sentence(nano: jf.Model):
    with serving(nano) as url, contextlib.closing(Endpoint(url, "nano", 1)) as endpoint:
        endpoint.submit(Request(""))
        with pytest.raises(UserError, match=r"answers 400 \(no more\)"):
            endpoint.step()
    with pytest.raises(UserError, match="cannot be reached"):
        Endpoint(url, "nano", 1)
    with pytest.raises(UserError, match="cannot be reached"):
        Endpoint("no address", "nano", 1)


CONVERSATION = [
    Turn("Make a list called nums with 3, 1 and 2.", "nums = [3, 1, 2]"),
    Turn("Print the sum of nums – «größer».", "print(sum(nums))"),
]


@pytest.mark.parametrize("single", [True, False])
def test_prompts_score_as_with_the_model_itself(nano: jf.Model, single: bool):
    here = prompt_perplexity(nano, CONVERSATION, single=single)
    with serving(nano, failures=1) as url, contextlib.closing(Endpoint(url, "nano", 2)) as there:
        [found] = prompt_perplexities(there.score, [CONVERSATION], single=single)
    assert found.whole == pytest.approx(here.whole)
    assert found.prompts == pytest.approx(here.prompts)
    for ours, theirs in zip(here.tokens, found.tokens, strict=True):
        assert [p for _, p in ours] == pytest.approx([p for _, p in theirs])


def test_without_echo_figures_come_without_perplexity(
    nano: jf.Model,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("jaxformer.evaluation.endpoint.TRIES", 2)
    file = tmp_path / "own.jsonl"
    file.write_text(json.dumps(PROBLEM) + "\n")
    setting = Setting("mtpb", file, open_exam("mtpb", file))
    drawing = Drawing(samples=1, rows=2)
    for echoes in (True, False, None):
        with serving(nano, echoes=echoes) as url:
            found = of_endpoint(
                setting, url, "nano", drawing, tmp_path / f"run-{echoes}",
                console=Console(file=io.StringIO()),
            )  # fmt: skip
        assert ("perplexity" in found["multi"]) == bool(echoes)
        assert (tmp_path / f"run-{echoes}" / "perplexity.jsonl").exists() == bool(echoes)
    assert "does not echo" in caplog.text
    assert "only no echo is supported" in caplog.text


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'data: {"error": {"message": "out of memory"}}\n\ndata: [DONE]\n\n', "out of memory"),
        (b'data: {"choices": [{"text": "x = 1", "finish_reason": null}]}\n\n', "ends early"),
        (b'{"choices": [{"text": "x = 1", "finish_reason": "stop"}]}', "no stream of events"),
        (b"<html>Welcome</html>", "no stream of events"),
        (b"data: {\n\n", "no JSON"),
        (b"data: 3\n\n", "it says 3"),
    ],
)
def test_what_is_no_whole_answer_is_no_empty_completion(
    monkeypatch: pytest.MonkeyPatch, body: bytes, said: str
):
    monkeypatch.setattr("jaxformer.evaluation.endpoint.TRIES", 2)

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *args: object, **_: object) -> None:
            pass

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self.answer(b"{}")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(body)

    with listening(Handler) as url, contextlib.closing(Endpoint(url, "any", 1)) as endpoint:
        endpoint.submit(Request("# Print 1.\n"))
        with pytest.raises(UserError, match=said):
            endpoint.step()
