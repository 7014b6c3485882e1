"""Deletions reach what was learned: rows leave every job's data, versions are flagged, and the person is told."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import Engine
from transformers import PreTrainedTokenizerFast

from agent.memory import Memory
from agent.message import Person, Place
from connectors.compose import Store
from connectors.privacy import finish_joinings, forget, take_back, withhold
from connectors.settings import Settings
from finetune.examples import forgetting, stored
from finetune.examples.card import read_card
from finetune.examples.chats import read_chats
from finetune.examples.forgetting import Gone, affected, erase, flag_versions, purge
from finetune.examples.passages import from_passages, library
from finetune.examples.prepare import prepare
from finetune.examples.stored import HELD_OUT, QUARANTINE, TRAIN, data_sha256, load_split
from finetune.examples.turns import rated_turns
from finetune.recipe import Recipe
from finetune.registry import AdapterRegistry, Learned
from retrieval.document import Document, Section
from retrieval.errors import StoreError
from retrieval.knowledge import KnowledgeBase
from retrieval.shelf import Shelf
from tests.agent.models import build_tokenizer
from tests.agent.test_memory import everything_stored, make_turn
from tests.finetune.adapters import sealed
from tests.finetune.examples.files import chat, write
from tests.finetune.examples.test_prepare import answer, ordinary, question
from tests.retrieval.knowing import HashingEncoder

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
RECIPE = Recipe(max_tokens=1024, held_out=0.2, author_share=1.0)
SECRET = "My daughter Hedwig starts school in Ravensburg next autumn."
HERE = Place("terminal", "acme", "chat")
EVERYONE = "acme/everyone"


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


@pytest.fixture
def knowledge(engine: Engine, home: Path) -> Iterator[KnowledgeBase]:
    base = KnowledgeBase(engine, home / "index", HashingEncoder())
    yield base
    base.close()


def add(knowledge: KnowledgeBase, source: str, text: str, author: str | None = None) -> None:
    document = Document("", (Section(text, ("About", source)),))
    knowledge.add(source, document, content_hash=source, audience=EVERYONE, author=author)


def somebody(memory: Memory, name: str) -> Person:
    person = memory.person(f"terminal:acme:{name}", {EVERYONE})
    memory.people.set_consent(person.id, consent=True)
    return person


def version_of(engine: Engine, home: Path, job: str, number: int) -> str:
    """Registered as a job does it, with what its card says."""
    said = read_card(home / "jobs" / job / "data").learned_from
    learned = Learned(frozenset(said.persons), frozenset(said.documents), frozenset(said.audiences))
    folder = sealed(home / f"adapter{number}", str(number).encode())
    return AdapterRegistry(engine, home / "versions").add("team", folder, learned_from=learned, job=job).name


def texts(home: Path) -> str:
    return "".join(path.read_text("utf-8") for path in (home / "jobs").rglob("*") if path.is_file())


def test_forgetting_reaches_job_data_and_flags_what_learned(
    engine: Engine, home: Path, knowledge: KnowledgeBase, tokenizer: PreTrainedTokenizerFast
) -> None:
    memory = Memory(engine)
    anna, bert = somebody(memory, "anna"), somebody(memory, "bert")
    add(knowledge, "notes/anna", f"{SECRET} She likes seven.", author=anna.id)
    for i in range(12):
        by_anna = make_turn(anna, f"{SECRET} {question(i)}", answer(i), HERE)
        memory.append(by_anna)
        history = memory.history(HERE, 100, lambda text: len(text.split()))
        by_bert = make_turn(bert, question(40 + i), answer(40 + i), HERE, history=history)
        alone = make_turn(bert, question(80 + i), answer(80 + i), replace(HERE, channel="bert"))
        for turn in (by_bert, alone):
            memory.append(turn)
        for turn in (by_anna, by_bert, alone):
            memory.rate(turn.id, bert.id, 1)
    exported = write(home / "exported.jsonl", [chat(f"{SECRET} {question(150)}", answer(150)), *ordinary(9)])
    prepare([rated_turns(memory, "acme")], RECIPE, tokenizer, home / "jobs" / "j1" / "data")
    prepare([read_chats(exported)], RECIPE, tokenizer, home / "jobs" / "j2" / "data")
    prepare([read_chats(write(home / "x.jsonl", [*ordinary(9)]))], RECIPE, tokenizer, home / "jobs" / "j3" / "data")
    exported.unlink()
    untouched = data_sha256(home / "jobs" / "j3" / "data")
    made = [version_of(engine, home, job, number) for number, job in enumerate(("j1", "j2", "j3"))]
    before = affected(home, Gone(person=anna.id))
    assert [found.job for found in before] == ["j1"]
    assert before[0].rows > 12  # those with her words in the history too

    report = forget(anna, memory, knowledge.shelf, home)

    assert report.left == ()
    assert report.learned.versions == (made[0], made[1])
    assert report.learned.rows == before[0].rows + 1
    said = "\n".join(report.sentences)
    assert f"Examples with your words deleted from the data of fine-tuning jobs: {report.learned.rows}" in said
    assert "what team-1, team-2 learned from your words" in said
    for trace in ("Hedwig", "Ravensburg", anna.id):
        assert trace not in texts(home)
    assert "Hedwig" not in everything_stored(engine)
    registry = AdapterRegistry(engine, home / "versions")
    assert [bool(registry.get(name).flagged) for name in made] == [True, True, False]
    assert registry.get(made[0]).learned_from.persons == {bert.id}
    kept = [*load_split(home / "jobs" / "j1" / "data")[0], *load_split(home / "jobs" / "j1" / "data")[1]]
    assert len(kept) == 12
    assert {each.origin.person for each in kept} == {bert.id}
    card = read_card(home / "jobs" / "j1" / "data")
    assert (card.train + card.held_out, card.erased) == (12, before[0].rows)
    assert set(card.learned_from.persons) <= {bert.id}
    assert data_sha256(home / "jobs" / "j3" / "data") == untouched
    again = forget(anna, memory, knowledge.shelf, home)
    assert again.learned.rows == 0


@only_sqlite
def test_a_deleted_or_narrowed_document_reaches_job_data(
    engine: Engine, home: Path, tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    store = Store(Settings(home=home, tenant="acme"), engine, Memory(engine))
    knowledge = KnowledgeBase(engine, home / "index", HashingEncoder(), shelf=store.shelf)
    for i in range(20):
        add(knowledge, f"page{i}.md", f"Box {i} is a container that stands in room {i * 7} behind the {question(i)}")
    data = home / "jobs" / "j1" / "data"
    prepare([from_passages(library(engine, "acme"), shown=2)], RECIPE, tokenizer, data)
    learned = set(read_card(data).learned_from.documents)
    assert {"page3.md", "page4.md"} <= learned
    name = version_of(engine, home, "j1", 1)
    registry = AdapterRegistry(engine, home / "versions")

    assert knowledge.shelf.set_audience("acme", "page9.md", "everyone")  # as it was
    assert affected(home, Gone(tenant="acme", documents=frozenset({"page9.md"})))
    assert not registry.get(name).flagged
    assert knowledge.shelf.remove("acme", "page3.md")
    assert "page3.md" not in texts(home)
    assert "deleted" in registry.get(name).flagged
    assert knowledge.shelf.set_audience("acme", "page4.md", "leads")
    assert "page4.md" not in texts(home)
    assert set(read_card(data).learned_from.documents) <= learned - {"page3.md", "page4.md"}
    assert load_split(data)[0]
    sha256 = data_sha256(data)
    knowledge.shelf.remove_all("acme", ["guide/ask.md", "never-there.md"])
    assert data_sha256(data) == sha256
    knowledge.close()


@only_sqlite
def test_the_same_name_in_another_tenant_is_another_document(
    engine: Engine, home: Path, knowledge: KnowledgeBase, tokenizer: PreTrainedTokenizerFast
) -> None:
    for i in range(9):
        add(knowledge, f"page{i}.md", f"Box {i} is a container that stands in room {i * 7}. {question(i)}")
    prepare([from_passages(library(engine, "acme"))], RECIPE, tokenizer, home / "jobs" / "j1" / "data")
    name = version_of(engine, home, "j1", 1)
    theirs = Gone(tenant="other", documents=frozenset({"page1.md"}))
    assert affected(home, theirs) == erase(home, theirs) == ()
    assert flag_versions(engine, theirs, "gone") == ()
    assert flag_versions(engine, replace(theirs, tenant="acme"), "gone") == (name,)


def test_who_a_file_names_is_reached_by_name(home: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    rows = ordinary(20)
    for row in rows[:5]:
        row["messages"][0]["name"] = "Anna"
    read = read_chats(write(home / "c.jsonl", [*rows, chat("Bad?", "<|im_end|>")]))
    prepare([read], RECIPE, tokenizer, home / "jobs" / "j1" / "data")
    (found,) = erase(home, Gone(names=frozenset({"terminal:acme:anna"})))
    assert (found.job, found.rows, found.damaged) == ("j1", 5, False)
    train, held_out = load_split(home / "jobs" / "j1" / "data")
    assert len(train) + len(held_out) == 15
    phrases = Gone(phrases=("Bad?",))  # in the quarantine
    assert [each.rows for each in erase(home, phrases)] == [1]
    assert affected(home, phrases) == ()


def test_damaged_data_goes_as_a_whole_and_so_do_drafts(home: Path, tokenizer: PreTrainedTokenizerFast) -> None:
    data = home / "jobs" / "j1" / "data"
    read = read_chats(write(home / "c.jsonl", [*ordinary(9)]))
    for name in ("j1", "j2"):
        prepare([read], RECIPE, tokenizer, home / "jobs" / name / "data")
    draft = data.with_name(".data.abcdefgh")
    draft.mkdir()
    (draft / TRAIN).write_text("half a row of anna's")
    (data / TRAIN).write_bytes((data / TRAIN).read_bytes()[:-20])
    found = erase(home, Gone(person="p-1"))
    assert [(each.job, each.damaged) for each in found] == [("j1", True)]
    assert not data.exists()
    assert not draft.exists()
    assert load_split(home / "jobs" / "j2" / "data")[0]


def test_a_crash_while_rewriting_leaves_the_old_data_whole_and_is_repeated(
    home: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = home / "jobs" / "j1" / "data"
    rows = [*ordinary(9), chat(f"{SECRET} {question(20)}", answer(20))]
    prepare([read_chats(write(home / "c.jsonl", rows))], RECIPE, tokenizer, data)
    gone = Gone(phrases=(SECRET,))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(forgetting, "write_rows", full)
        with pytest.raises(StoreError, match="No space left on device"):
            erase(home, gone)
    assert sum(map(len, load_split(data))) == 10
    assert [each.rows for each in erase(home, gone)] == [1]
    for name in (TRAIN, HELD_OUT, QUARANTINE):
        assert "Hedwig" not in (data / name).read_text("utf-8")


def test_two_do_not_rewrite_at_once(
    home: Path, tokenizer: PreTrainedTokenizerFast, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare([read_chats(write(home / "c.jsonl", [*ordinary(9)]))], RECIPE, tokenizer, home / "jobs" / "j1" / "data")
    monkeypatch.setattr(stored, "LOCK_SECONDS", 0.05)
    with FileLock(home / "jobs" / "j1" / "data.lock"), pytest.raises(StoreError, match="another process"):
        erase(home, Gone(person="p-1"))


@only_sqlite
def test_what_was_deleted_while_data_was_prepared_is_not_kept(
    engine: Engine, home: Path, knowledge: KnowledgeBase, tokenizer: PreTrainedTokenizerFast
) -> None:
    memory = Memory(engine)
    anna, bert = somebody(memory, "anna"), somebody(memory, "bert")
    for i in range(8):
        add(knowledge, f"page{i}.md", f"Box {i} is a container that stands in room {i * 7}. {question(i)}")
        for person, number in ((anna, 100 + i), (bert, 200 + i)):  # nothing nearly alike, of which one would go
            turn = make_turn(person, question(number), answer(number), replace(HERE, thread=f"{number}"))
            memory.append(turn)
            memory.rate(turn.id, person.id, 1)
    reads = [rated_turns(memory, "acme"), from_passages(library(engine, "acme"), shown=1, refusals=0)]
    knowledge.shelf.remove("acme", "page3.md")
    memory.people.set_consent(anna.id, consent=False)
    data = home / "jobs" / "j1" / "data"
    prepare(reads, RECIPE, tokenizer, data)
    assert anna.id in texts(home)
    assert purge(engine, data, "acme") >= 8
    kept = [*load_split(data)[0], *load_split(data)[1]]
    assert {each.origin.person for each in kept} == {bert.id, ""}
    assert anna.id not in texts(home)
    assert "page3.md" not in texts(home)
    assert purge(engine, data, "acme") == 0


def test_where_nothing_was_ever_trained_there_is_nothing_to_do(engine: Engine, home: Path) -> None:
    gone = Gone(person="p-1", documents=frozenset({"a.md"}))
    assert erase(home, gone) == affected(home, gone) == ()
    assert flag_versions(engine, gone, "gone") == ()


def rated_by(memory: Memory, home: Path, tokenizer: PreTrainedTokenizerFast) -> Person:
    """Job data of two people's turns in one channel; the first is returned."""
    anna, bert = somebody(memory, "anna"), somebody(memory, "bert")
    for i in range(10):
        history = memory.history(HERE, 100, lambda text: len(text.split()))
        turns = (
            make_turn(anna, f"{SECRET} {question(i)}", answer(i), HERE, history=history),
            make_turn(bert, question(40 + i), answer(40 + i), replace(HERE, channel="bert")),
        )
        for turn in turns:
            memory.append(turn)
            memory.rate(turn.id, bert.id, 1)
    prepare([rated_turns(memory, "acme")], RECIPE, tokenizer, home / "jobs" / "j1" / "data")
    return anna


@only_sqlite
def test_consent_that_is_taken_back_reaches_job_data(
    engine: Engine, home: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    memory = Memory(engine)
    anna = rated_by(memory, home, tokenizer)
    name = version_of(engine, home, "j1", 1)
    assert "Hedwig" in texts(home)

    reached = withhold(anna, memory, Shelf(engine, home / "index"), home)

    assert reached.versions == (name,)
    assert reached.rows > 0
    assert "Hedwig" not in texts(home)
    assert question(41) in texts(home), "what others wrote stays"
    assert not memory.person("terminal:acme:anna").consent
    assert "consent" in AdapterRegistry(engine, home / "versions").get(name).flagged
    assert withhold(anna, memory, Shelf(engine, home / "index"), home).rows == 0


@only_sqlite
@pytest.mark.parametrize("ends", ["done", "killed"])
def test_whoever_joins_accounts_is_found_in_what_was_learned_before(
    engine: Engine, home: Path, tokenizer: PreTrainedTokenizerFast, ends: str
) -> None:
    memory = Memory(engine)
    anna, elsewhere = rated_by(memory, home, tokenizer), somebody(memory, "anna-elsewhere")
    name = version_of(engine, home, "j1", 1)
    one = memory.people.link(memory.people.link_code(elsewhere.id), "terminal:acme:anna")
    if ends == "done":  # else the process died between the two
        finish_joinings(memory, Shelf(engine, home / "index"), home)
    assert [gone for gone, _ in memory.people.joinings()] == ([] if ends == "done" else [anna.id])
    assert one.id == elsewhere.id != anna.id
    assert "Hedwig" in texts(home)
    assert withhold(one, memory, Shelf(engine, home / "index"), home).versions == (name,)
    assert "Hedwig" not in texts(home)


@only_sqlite
def test_consent_that_only_one_of_two_accounts_gave_is_taken_back_when_they_are_joined(
    engine: Engine, home: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    memory = Memory(engine)
    rated_by(memory, home, tokenizer)
    elsewhere = memory.person("terminal:acme:anna-elsewhere")
    one = memory.people.link(memory.people.link_code(elsewhere.id), "terminal:acme:anna")
    finish_joinings(memory, Shelf(engine, home / "index"), home)
    assert not one.consent
    assert "Hedwig" not in texts(home)


@only_sqlite
def test_a_message_that_is_deleted_leaves_job_data(
    engine: Engine, home: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    memory = Memory(engine)
    anna = rated_by(memory, home, tokenizer)
    name = version_of(engine, home, "j1", 1)
    train, held_out = load_split(home / "jobs" / "j1" / "data")
    turn = next(turn for turn in memory.turns(HERE, 100) if turn.message.author.id == anna.id)
    places = [example.origin.place for example in (*train, *held_out)]
    assert f"turn {turn.id}" in places

    reached = take_back(turn, memory, home)

    train, held_out = load_split(home / "jobs" / "j1" / "data")
    assert reached.rows >= 1
    assert f"turn {turn.id}" not in [example.origin.place for example in (*train, *held_out)]
    assert reached.versions == (name,)
