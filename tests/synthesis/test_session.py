"""Sessions: the transcript grows, and every step back leads where it says."""

import math

import pytest

import jaxformer as jf
from jaxformer import generation, transcript
from jaxformer.generation import Request, generate
from jaxformer.synthesis import parse_turns
from jaxformer.synthesis.perplexity import prompt_perplexity
from jaxformer.transcript import Turn


def session(model, **changes) -> jf.Session:
    return jf.Session(model, **({"execute": False, "max_new_tokens": 24} | changes))


def test_each_turn_sees_all_before_it(random_model):
    ours = session(random_model, temperature=1.0, seed=3)
    first, second = ours.ask("Set x to 1."), ours.ask("Print x.")
    text = transcript.render([first]) + "# Print x.\n"
    [again] = generate(
        random_model,
        [Request(text, 24, 1.0, seed=3, stops=transcript.TURN_STOPS)],
    )
    assert second.raw == again.raw
    assert second.code == transcript.clean(again.text)
    assert ours.program == transcript.program([first, second])


def test_perplexity_is_of_the_prompts_words_given_all_before(random_model):
    ours = session(random_model)
    ours.ask("Set x to 1.")
    turn = ours.ask("Print the sum of x and 2.")
    text = transcript.render(ours.turns[:1]) + transcript.ask(turn.prompt)
    [scored] = jf.score(random_model, [text])
    start = text.index("# Print") + 2
    words = [
        logprob
        for (low, high), logprob in zip(scored.spans, scored.logprobs, strict=True)
        if logprob is not None and high > start and low < len(text) - 1
    ]
    assert turn.perplexity == pytest.approx(math.exp(-sum(words) / len(words)))
    assert text[scored.spans[-1][0] :] == "\n"  # which is not among the words


def test_multi_turn_perplexity_equals_the_sessions(random_model):
    ours = session(random_model, temperature=0.0)
    for prompt in ("Set x to 1.", "Add 2 to x.", "Print x."):
        ours.ask(prompt)
    multi = prompt_perplexity(random_model, ours.turns, single=False)
    assert multi.prompts == pytest.approx([turn.perplexity for turn in ours.turns], rel=1e-5)
    logprobs = [p for tokens in multi.tokens for _, p in tokens]
    assert multi.whole == pytest.approx(math.exp(-sum(logprobs) / len(logprobs)))
    assert "".join(text for text, _ in multi.tokens[2]).strip() == "Print x."
    single = prompt_perplexity(random_model, ours.turns, single=True)
    assert single.prompts[0] == pytest.approx(multi.prompts[0])
    assert single.prompts[1] != pytest.approx(multi.prompts[1])


def test_prompts_beyond_the_context_are_measured_by_what_still_fits(random_model):
    turns = [Turn(f"Set x{i} to the sum of {i} and {i}.", f"x{i} = {i} + {i}") for i in range(40)]
    context = random_model.config.n_positions
    found = prompt_perplexity(random_model, turns, single=False)
    assert len(random_model.tokenizer.encode(transcript.render(turns))) > context
    for place in (3, 39):
        text = transcript.render(turns[:place]) + transcript.ask(turns[place].prompt)
        [scored] = generation.score(random_model, [text], keep_end=True)
        start = len(text) - 1 - len(turns[place].prompt)
        assert found.prompts[place] == pytest.approx(scored.perplexity(start, len(text) - 1))


def test_undo_retry_edit_fork(random_model):
    ours = session(random_model, temperature=1.5)
    first, second = ours.ask("One."), ours.ask("Two.")
    twin = ours.fork()
    assert ours.undo() == second
    assert [turn.prompt for turn in ours.turns] == ["One."]
    assert len(twin.turns) == 2
    assert ours.ask("Two.") == second  # the same history and seed
    retried = ours.retry()
    assert retried.prompt == "Two."
    assert retried.raw != second.raw
    edited = ours.edit("x = 5", 0)
    assert (edited.code, edited.stop_reason) == ("x = 5", "edited")
    assert "x = 5" in ours.program
    assert ours.turns[1].code == retried.code
    assert twin.turns[0] == first
    with pytest.raises(jf.UserError, match="no turn"):
        session(random_model).undo()
    with pytest.raises(jf.UserError, match="no turn"):
        ours.edit("", 7)


def test_output_is_what_each_turn_adds(random_model):
    ours = session(random_model, execute=True)
    for code in ("x = 2\nprint('a')", "print(x + 1)", "y = x", "print(z)"):
        ours.ask("Step.")
        ours.edit(code)
    assert [turn.output for turn in ours.turns] == ["a\n", "3\n", "", ""]
    assert ours.turns[2].error is None
    assert "NameError" in (ours.turns[3].error or "")
    result = ours.run()
    assert (result.stdout, result.status) == ("a\n3\n", "exception")


def test_output_of_programs_that_print_something_else_each_time(random_model):
    ours = session(random_model, execute=True)
    for code in ("import time\nprint(time.time_ns())", "print('b')", "print('c')"):
        ours.ask("Step.")
        ours.edit(code)
    assert [turn.output for turn in ours.turns[1:]] == ["b\n", "c\n"]


def test_long_history_loses_its_start(random_model):
    ours = session(random_model)
    for _ in range(12):
        ours.ask("Write a long line about nothing in particular, please.")
        ours.edit("x = 'abcdefghijklmnopqrstuvwxyz'\n" * 3)
    assert ours.turns[0].forgotten == 0
    assert ours.turns[-1].forgotten > 0
    assert ours.program.startswith("# Import libraries.")  # the program itself forgets nothing


@pytest.mark.parametrize(
    ("prompt", "complaint"),
    [("", "empty"), ("a\nb", "one line"), ("a\n", "one line"), ("very " * 400, "context")],
)
def test_impossible_prompts_are_refused(random_model, prompt, complaint):
    ours = session(random_model)
    with pytest.raises(jf.UserError, match=complaint):
        ours.ask(prompt)
    assert not ours.turns


def test_turns_files():
    data = "#! a comment\nSet x to 1.\r\n\n   \n  # a prompt about comments\nÉ\n".encode()
    assert parse_turns(data, "f") == ["Set x to 1.", "# a prompt about comments", "É"]
    with pytest.raises(jf.UserError, match="f holds no turns"):
        parse_turns(b"#! nothing\n\n", "f")
    with pytest.raises(jf.UserError, match="f, line 2"):
        parse_turns(b"ok\n\xff\xfe\n", "f")
