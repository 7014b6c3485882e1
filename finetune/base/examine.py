"""Examine a trained starter: many prompts read at once, as chat would read them one by one; and held-out text in bits.

What may be said is decided by the same rules as in chat (`agent.generation.span`); only the steps are taken together.
"""

import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agent.generation.span import LONGEST, NO_REPEAT, TRIED, is_refusal, may_be_said, runs, whole
from finetune.base.measure import held_language, held_reading
from finetune.base.model import Starter, shape_of
from finetune.base.tokenizer import END

TOGETHER = 48
Best = list[tuple[float, int]]  # log probability and token, best first


@dataclass(slots=True)
class _Line:
    """One prompt on its way."""

    number: int
    ids: list[int]
    passages: list[str]
    said: list[int]
    certainty: float = 0.0


def load(folder: Path, preset: str, vocabulary: int) -> Starter:
    """The starter that `export` wrote into `folder`."""
    from safetensors.torch import load_file

    model = Starter(shape_of(preset, vocabulary))
    weights = {name: w.float() for path in folder.glob("*.safetensors") for name, w in load_file(path).items()}
    model.load_state_dict(weights)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def examine(model: Starter, tokenizer: Any, prompts: Path, work: Path, out: Path) -> None:
    """Write what the model reads, says and spends on held-out text into `out`, a JSON file.

    prompts: gzip'd JSON, {"read": [{"ids", "passages"}], "speak": [{"ids"}]}.
    """
    given = json.loads(gzip.decompress(prompts.read_bytes()))
    dtype = torch.bfloat16 if next(model.parameters()).is_cuda else torch.float32
    untrained = Starter(model.shape, seed=1).to(next(model.parameters()).device)
    steps: dict[str, Callable[[], Any]] = {
        "bits": lambda: held_language(model, work, dtype, rows=10_000),
        "read": lambda: read_many(model, tokenizer, given["read"], dtype),
        "speak": lambda: speak_many(model, tokenizer, given["speak"], dtype),
        "held": lambda: held_reading(model, work, dtype, rows=10_000),
        "bits untrained": lambda: held_language(untrained, work, dtype, rows=10_000),
    }
    found = {}
    for name, step in steps.items():
        found[name] = step()
        out.write_text(json.dumps(found, ensure_ascii=False))  # what is known if it is stopped


def read_many(
    model: Starter, tokenizer: Any, prompts: Sequence[dict[str, Any]], dtype: torch.dtype
) -> list[dict[str, Any] | None]:
    """Of each prompt the words found, their passage's place and probability; None where it refuses."""
    found: list[dict[str, Any] | None] = [None] * len(prompts)
    for group in _groups(prompts):
        active = group
        while active:
            left = []
            for line, best in zip(active, _best(model, active, dtype), strict=True):
                tried = (
                    (score, token, tokenizer.decode([*line.said, token], skip_special_tokens=False))
                    for score, token in best
                )
                chosen = next((each for each in tried if may_be_said(each[2], line.passages)), None)
                if chosen is None or is_refusal(chosen[2], line.passages):
                    continue
                line.said.append(chosen[1])
                line.certainty += chosen[0]
                if answer := whole(chosen[2], line.passages):
                    probability = math.exp(line.certainty)
                    found[line.number] = {"text": answer[0], "passage": answer[1], "probability": probability}
                elif len(line.said) < LONGEST:
                    left.append(line)
            active = left
    return found


def speak_many(
    model: Starter, tokenizer: Any, prompts: Sequence[dict[str, Any]], dtype: torch.dtype, tokens: int = 120
) -> list[str]:
    """The likeliest reply to each, without saying anything twice."""
    found = [""] * len(prompts)
    end = tokenizer.token_to_id(END)
    for group in _groups(prompts):
        active = group
        while active:
            left = []
            for line, best in zip(active, _best(model, active, dtype), strict=True):
                before = runs(line.said, NO_REPEAT)
                token = next((id_ for _, id_ in best if tuple([*line.said, id_][-NO_REPEAT:]) not in before), end)
                if token != end:
                    line.said.append(token)
                found[line.number] = tokenizer.decode(line.said) + ("" if token == end else " …")
                if token != end and len(line.said) < tokens:
                    left.append(line)
            active = left
    return found


def _groups(prompts: Sequence[dict[str, Any]]) -> Iterator[list[_Line]]:
    """Prompts of like lengths together."""
    lines = [_Line(n, list(each["ids"]), list(each.get("passages", ())), []) for n, each in enumerate(prompts)]
    lines.sort(key=lambda line: len(line.ids))
    for start in range(0, len(lines), TOGETHER):
        yield lines[start : start + TOGETHER]


@torch.no_grad()
def _best(model: Starter, lines: Sequence[_Line], dtype: torch.dtype) -> list[Best]:
    """The likeliest next tokens of each line."""
    device = next(model.parameters()).device
    rows = [[*line.ids, *line.said] for line in lines]
    length = max(map(len, rows))
    ids = torch.zeros(len(rows), length, dtype=torch.long)  # what follows a row's end is seen by nothing before it
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.tensor(row)
    mask = torch.ones(length, length, dtype=torch.bool, device=device).tril()[None, None]
    positions = torch.arange(length, device=device).expand(len(rows), length)
    hidden = model.hidden(ids.to(device), positions, mask, dtype)
    last = hidden[torch.arange(len(rows), device=device), torch.tensor([len(row) - 1 for row in rows], device=device)]
    best = model.logits(last).float().log_softmax(-1).topk(TRIED)
    return [list(zip(*pair, strict=True)) for pair in zip(best.values.tolist(), best.indices.tolist(), strict=True)]
