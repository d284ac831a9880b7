"""What a run asks: whole requests, and which samples of a set."""

import json
from typing import Any

from controller.evals.run.asking import body_of, chosen, params_hash, prompt_hash, tasks_of
from schemas.eval_files import EvalSet, load_eval
from schemas.rules.graders import Asking

TOOL = {"type": "function", "function": {"name": "look", "parameters": {"z": 1, "a": 0.5}}}
TURNS = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]


def set_of(*samples: dict[str, Any]) -> EvalSet:
    text = "\n".join(json.dumps({"target": "yes", **sample}) for sample in samples)
    graders = "version: 1\ngraders: [{id: exact, kind: exact}]\n"
    found, problems = load_eval("chat", {"set.jsonl": text, "graders.yaml": graders}, None)
    assert found is not None, problems
    return found


def test_a_sample_is_sent_as_it_stands_in_the_set() -> None:
    plain, turns = set_of({"id": "a", "input": "Hi"}, {"id": "b", "input": TURNS, "tools": [TOOL]}).lines
    asking = Asking.model_validate({"system": "Be brief.", "max_output_tokens": 9, "temperature": 0, "stop": ["\n"]})
    assert json.loads(body_of(plain, Asking(), "chat")) == {
        "model": "chat", "messages": [{"role": "user", "content": "Hi"}],
    }  # fmt: skip
    body = json.loads(body_of(turns, asking, "chat"))
    assert body == {
        "model": "chat", "messages": [{"role": "system", "content": "Be brief."}, *TURNS], "tools": [TOOL],
        "max_completion_tokens": 9, "temperature": 0, "stop": ["\n"],
    }  # fmt: skip
    assert list(body["tools"][0]["function"]["parameters"]) == ["z", "a"], "models read keys in their order"


def test_results_tell_prompts_and_parameters_apart() -> None:
    cold, warm, terse = (
        Asking.model_validate(given) for given in ({"temperature": 0}, {"temperature": 1}, {"system": "Be brief."})
    )
    assert params_hash(cold) != params_hash(warm)
    assert prompt_hash(cold) == prompt_hash(warm) != prompt_hash(terse)


def test_a_larger_limit_keeps_what_a_smaller_one_takes_whatever_the_order() -> None:
    samples = [{"id": f"s{number}", "input": "Hi"} for number in range(50)]
    lines, turned = set_of(*samples).lines, set_of(*reversed(samples)).lines
    few, more = ({line.sample.id for line in chosen(lines, limit)} for limit in (10, 20))
    assert (len(few), len(more)) == (10, 20)
    assert few < more
    assert {line.sample.id for line in chosen(turned, 10)} == few
    assert chosen(lines, None) == chosen(lines, 99) == lines
    assert few != {f"s{number}" for number in range(10)}, "files are often sorted by something"


def test_models_take_turns() -> None:
    eval_set = set_of({"id": "a", "input": "Hi"}, {"id": "b", "input": "Hi"})
    done = [task.done for task in tasks_of(eval_set, ("x", "y@z"), 2, None)]
    assert done[:4] == [("a", 1, "x"), ("a", 1, "y@z"), ("b", 1, "x"), ("b", 1, "y@z")]
    assert len(set(done)) == len(done) == 8
