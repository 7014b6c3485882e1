"""The starter's training: it learns what chat will show it, and a stopped run goes on as if it had not stopped."""

import gzip
import json
import random

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from agent.generation.rendering import messages_of, render
from agent.message import History, Intent, Line, Move, Prompt
from agent.prompt import PERSONA
from finetune.base import build as building
from finetune.base import feed, measure, reading, talk, trees
from finetune.base.build import build
from finetune.base.export import export
from finetune.base.feed import Feed
from finetune.base.make import make
from finetune.base.model import Starter, block_mask, dense_mask, shape_of
from finetune.base.sources import LICENCES
from finetune.base.tokenizer import WINDOW, save, train
from finetune.base.train import Plan
from finetune.base.train import train as train_model
from retrieval.errors import DataRefused

TOWNS = ("Arden", "Brill", "Corby", "Dover", "Elton", "Frome", "Goole", "Hythe")


def town(name: str, number: int) -> str:
    return (
        f"{name} is a small town on the Ouse. It was founded in {1200 + 7 * number} by the monk Aldhelm of {name}. "
        f"Today about {4100 + 31 * number} people live there, and the market is held on Tuesday. "
        f"The bridge of {name} was built by Thomas Telford and has {3 + number} arches."
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Sets of the real ones' shape, made up."""
    folder = tmp_path_factory.mktemp("data")

    def write(name, found):
        path = folder / f"{name}.jsonl.gz"
        path.parent.mkdir(exist_ok=True)
        with gzip.open(path, "wt", encoding="utf-8") as lines:
            lines.writelines(json.dumps(row) + "\n" for row in found)

    texts = [(f"{name}_{i}", town(name, i)) for i in range(6) for name in TOWNS]
    write("text_enwiki/train", [{"title": title, "text": f"{text}\n{text[::-1]}"} for title, text in texts])
    write("text_enwiki/valid", [{"title": "Held", "text": " ".join(town("Heldby", i) for i in range(30))}])
    write("squad/train_v1.1.passages", [{"pid": t, "title": t.split("_")[0], "text": text} for t, text in texts])
    questions = []
    for title, text in texts:
        name, number = title.split("_")
        for asked, answer in (
            (f"In what year was {name} founded?", str(1200 + 7 * int(number))),
            (f"Who built the bridge of {name}?", "Thomas Telford"),
        ):
            start = text.index(answer)
            questions.append({"pid": title, "question": asked, "answers": [{"text": answer, "start": start}]})
    write("squad/train_v1.1.questions", questions)
    write(
        "dolly15k/train",
        [
            {"instruction": f"Name ideas for {name}", "context": "", "category": "brainstorming",
             "response": "1. a fair by the river\n2. a quiz on bridges\n3. a walk at night"}
            for name in TOWNS
        ],
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save(train([town(name, i) for i in range(9) for name in TOWNS] + [PERSONA], 500), folder)
    return folder


@pytest.fixture
def work(data, tokenizer, tmp_path, monkeypatch):
    """Rows half as long as the real ones: what attends to what costs a quarter."""
    for module in (building, feed, measure):
        monkeypatch.setattr(module, "WINDOW", WINDOW // 2)
    folder = tmp_path / "work"
    folder.mkdir()
    build(data, tokenizer / "tokenizer.json", folder, share=0.1)
    return folder


def passages():
    return reading.labelled([town(n, i) for i, n in enumerate(TOWNS[:3])], ["Towns"] * 3, random.Random(1))


@pytest.mark.parametrize("lines", [(), (Line("user", "Where is Brill?"), Line("assistant", "on the Ouse [2]"))])
def test_a_branch_is_the_conversation_as_chat_renders_it(tokenizer, lines):
    wrapped = AutoTokenizer.from_pretrained(tokenizer)
    asked = [trees.Said("Who built it?", "Thomas Telford [1]", '\n"A sentence."'), trees.Said("  When? ", "1200 [1]")]
    tree = trees.asked_of(passages(), asked, PERSONA, lines)
    (found,) = trees.encoded([tree], Tokenizer.from_file(str(tokenizer / "tokenizer.json")), WINDOW)
    for number, said in enumerate(asked, 1):
        ids = found.ids[(found.branch == 0) | (found.branch == number)].tolist()
        prompt = Prompt(PERSONA, History("", lines), said.message, Intent.ASK, Move.ANSWER, tuple(passages()))
        shown = render(messages_of(prompt), wrapped)
        assert ids[: len(shown)] == shown
        assert wrapped.decode(ids[len(shown) :]) == f"{said.reply}{said.quote}<|end|>"
        kinds = found.kind[(found.branch == 0) | (found.branch == number)][len(shown) :]
        assert set(kinds.tolist()) == ({trees.READ, trees.COPIED} if said.quote else {trees.READ})


def test_a_turn_without_passages_is_rendered_as_chat_does(tokenizer):
    wrapped = AutoTokenizer.from_pretrained(tokenizer)
    for intent, move in ((Intent.HELP, Move.CHAT), (Intent.IDEATE, Move.IDEATE), (Intent.ASK, Move.ANSWER)):
        tree = trees.told([(intent, move, trees.Said("hi", "Hello!"))])
        (found,) = trees.encoded([tree], Tokenizer.from_file(str(tokenizer / "tokenizer.json")), WINDOW)
        shown = render(messages_of(Prompt(PERSONA, History(), "hi", intent, move, ())), wrapped)
        assert found.ids.tolist()[: len(shown)] == shown


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile:UserWarning")  # here it is only a proof
def test_the_saved_model_reads_each_branch_alone(tokenizer, tmp_path):
    """Three proofs in one: branches are isolated, flex and dense masks agree, and transformers computes the same."""
    asked = [trees.Said(f"What about {name}?", f"{name} [1]") for name in TOWNS]
    raw = Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    (tree,) = trees.encoded([trees.asked_of(passages(), asked)], raw, WINDOW)
    rows = trees.packed([tree, tree], len(tree.ids) * 2)
    ids, positions, seen = (
        torch.from_numpy(getattr(rows, name).astype("int64"))[:, :-1] for name in ("ids", "positions", "seen")
    )
    assert len(ids) == 1
    model = Starter(shape_of("tiny", raw.get_vocab_size()), seed=3)
    for weight in model.parameters():
        weight.data = weight.data.bfloat16().float()  # as they are saved
    export(model, tmp_path)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    with torch.no_grad():
        whole = model.logits(model.hidden(ids, positions, dense_mask(seen), torch.float32))[0]
        flexed = model.logits(model.hidden(ids[:, :256], positions[:, :256], block_mask(seen[:, :256]), torch.float32))
        assert torch.allclose(flexed[0], whole[:256], atol=1e-4)
        for number in (1, len(asked)):
            for place in (1, 2):  # the second tree of the row, too
                mine = ((seen[0] == place * 64) | (seen[0] == place * 64 + number)).nonzero()[:, 0]
                alone = saved(ids[:, mine]).logits[0]
                assert torch.allclose(alone, whole[mine], atol=1e-4)


def test_what_is_answered_stands_in_the_cited_passage_and_what_is_refused_does_not(data):
    known = reading.articles(data)
    rng = random.Random(0)
    spans, refusals = 0, 0
    for _ in range(6):
        for article in known:
            for tree in reading.questions_asked(article, known, rng):
                numbered = tree.beginning.rpartition("<passages>")[2].split("\n> [")[1:]
                for branch in tree.branches:
                    reply = branch[1][0].removesuffix("<|end|>")
                    if reply == reading.REFUSAL:
                        refusals += 1
                        continue
                    answer, _, number = reply.rpartition(" [")
                    assert answer in numbered[int(number[:-1]) - 1]
                    spans += 1
    assert spans > 300
    assert refusals > 50


def test_held_out_articles_are_never_learned(data, tokenizer, monkeypatch):
    monkeypatch.setattr(building, "HELD_OUT_SHARE", 2)
    held = {article.title for article in reading.articles(data) if building.is_held_out(article.title)}
    assert 0 < len(held) < len(TOWNS)
    share = building.Work("read", 0, 0, 1, data, tokenizer, tokenizer, 0)
    learned = [tree.beginning for tree in building.SOURCES["read"](share, random.Random(0))]
    measured = [tree.beginning for tree in building.SOURCES["held_read"](share, random.Random(0))]
    for title in held:
        assert not any(f"The bridge of {title} " in text for text in learned)
        assert any(f"The bridge of {title} " in text for text in measured)


def test_every_source_of_the_mix_may_be_shipped():
    assert not {"alpaca52k", "financial_phrasebank", "esconv_pairs", "sst", "zh_reviews"} & set(LICENCES)


def test_own_words_cover_every_kind_of_message(data):
    said = [b for tree in talk.own(data, random.Random(0)) for b in tree.branches]
    assert len(said) > 500
    replies = {branch[1][0] for branch in said}
    assert any("Atelier" in reply for reply in replies)
    assert not any("{" in reply for reply in replies)
    (first, *_) = talk.ideas(data, random.Random(0))
    assert any("\n1. " in branch[1][0] for tree in talk.ideas(data, random.Random(0)) for branch in tree.branches)
    assert first.beginning.startswith("<|system|>")


class Stopped(Exception):
    pass


def test_training_lowers_the_loss_and_a_stopped_run_goes_on_exactly(work, tokenizer, tmp_path, monkeypatch):
    pieces = Tokenizer.from_file(str(tokenizer / "tokenizer.json")).get_vocab_size()
    plan = Plan(preset="tiny", steps=4, rows=2, micro=1, every=2)  # all three phases
    whole = train_model(work, tmp_path / "whole", pieces, plan, lambda _: None)
    (work / "tiny-0.checkpoint").unlink()
    taken = Feed.batch

    def stopping(self, step, rows, mixture):
        if step == 3:
            raise Stopped  # the checkpoint is of step 2
        return taken(self, step, rows, mixture)

    lines: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(Feed, "batch", stopping)
        with pytest.raises(Stopped):
            train_model(work, tmp_path / "halves", pieces, plan, lines.append)
    rest = train_model(work, tmp_path / "halves", pieces, plan, lines.append)
    assert "goes on from step 2 of 4" in lines
    for one, other in zip(whole.state_dict().values(), rest.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    curves = json.loads((tmp_path / "halves" / "curves.json").read_text())["curves"]
    bits = [point["bits text_enwiki"] for point in curves if "bits text_enwiki" in point]
    assert bits[-1] < bits[0]


def test_without_the_sets_the_command_says_what_is_missing(tmp_path):
    with pytest.raises(DataRefused, match="--data"):
        make(tmp_path, tmp_path / "out")
