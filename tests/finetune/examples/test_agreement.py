"""A file teaches nobody's words who has not agreed, and who takes consent back reaches a job that is under way."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine
from transformers import PreTrainedTokenizerFast

from agent.memory import Memory
from agent.message import Person, Place
from connectors.privacy import withhold
from finetune import job as jobs
from finetune.examples.agreement import parted, withheld
from finetune.examples.chats import read_chats
from finetune.examples.forgetting import purge
from finetune.examples.prepare import prepare
from finetune.examples.problems import Code
from finetune.examples.stored import load_split
from finetune.job import events
from finetune.jobs import Jobs
from finetune.registry import AdapterRegistry
from finetune.report import Judged
from finetune.steps import BEGUN, Steps
from retrieval.shelf import Shelf
from tests.agent.models import build_tokenizer
from tests.agent.test_memory import make_turn
from tests.finetune.adapters import sealed
from tests.finetune.examples.files import chat, codes, write
from tests.finetune.examples.test_forgetting import HERE, RECIPE, somebody
from tests.finetune.examples.test_prepare import ordinary
from tests.finetune.tiny import order_of

only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
OWN = "Since the flood our cellar in Ravensburg smells of wet plaster."
SHORT, ANSWER = "When do we open?", "The doors open at seven, the kitchen at nine."


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer()


def said(memory: Memory, name: str, *, consent: bool) -> Person:
    """Somebody who wrote something of their own, and a question that anybody might ask."""
    person = somebody(memory, name)
    memory.people.set_consent(person.id, consent=consent)
    for text, reply in ((OWN, "Air it."), (SHORT, f"{ANSWER} [1]")):
        memory.append(make_turn(person, text, reply, HERE))
    return person


def exported(folder: Path) -> Path:
    signed = chat("Which lamp?", "The green one.")
    signed["messages"][0]["name"] = "terminal:acme:dora"
    rows = [
        chat("  since the flood, our cellar in RAVENSBURG smells of “wet plaster”! ", "Open the window."),
        chat("Hello", "Hello!", OWN, "Air it."),
        chat(SHORT, f"**{ANSWER}**"),
        chat(SHORT, "At eight, as the sign says."),
        signed,
        *ordinary(9),
    ]
    return write(folder / "export.jsonl", rows)


def test_rows_of_who_has_not_agreed_are_left_out_by_line(engine: Engine, memory: Memory, tmp_path: Path) -> None:
    said(memory, "anna", consent=False)
    somebody(memory, "dora")
    read = read_chats(exported(tmp_path))
    named = "name-"
    found = parted(read, withheld(engine, "acme"))
    gone = [f"export.jsonl:{line}" for line in (1, 2, 3)]
    assert codes(found) == [*codes(read), *((place, Code.NO_CONSENT) for place in gone)]
    assert [(each.place, each.excerpt) for each in found.rejected] == [(place, "") for place in gone]
    assert len(found.examples) == len(read.examples) - 3, "a short question with another answer is anybody's"
    memory.people.set_consent(memory.person("terminal:acme:dora").id, consent=False)
    signed = [each for each in found.examples if each.origin.person.startswith(named)]
    assert len(signed) == 1
    assert parted(read, withheld(engine, "acme")).rejected[-1].place == "export.jsonl:5"


def test_who_agreed_and_who_is_of_another_tenant_keeps_nobody_from_a_file(
    engine: Engine, memory: Memory, tmp_path: Path
) -> None:
    said(memory, "anna", consent=True)
    read = read_chats(exported(tmp_path))
    assert parted(read, withheld(engine, "acme")) == read
    memory.people.set_consent(memory.person("terminal:acme:anna").id, consent=False)
    somebody(memory, "dora")
    memory.people.set_consent(memory.person("terminal:acme:dora").id, consent=False)
    assert parted(read, withheld(engine, "other")).examples == read.examples


def test_a_guest_of_a_shared_channel_and_the_other_account_of_a_colleague_are_kept_from_a_file(
    engine: Engine, memory: Memory, tmp_path: Path
) -> None:
    beside = Place("slack", "beside", "C1")
    memory.append(make_turn(memory.person("slack:beside:U7"), "Hello", "Hello!", beside))
    memory.person("slack:T0GUEST:U1")
    memory.append(make_turn(memory.person("slack:beside:U2"), "Hi there", "Hello!", HERE))
    rows = []
    for name in ("U1", "U2", "U7"):
        rows.append(chat(f"Which lamp does {name} want?", "The green one."))
        rows[-1]["messages"][0]["name"] = name
    read = read_chats(write(tmp_path / "export.jsonl", [*rows, *ordinary(9)]))
    gone = parted(read, withheld(engine, "acme")).rejected
    assert [each.place for each in gone[-2:]] == ["export.jsonl:1", "export.jsonl:2"]
    memory.people.link(memory.people.link_code(memory.person("terminal:acme:eve").id), "slack:beside:U7")
    assert parted(read, withheld(engine, "acme")).rejected[-1].place == "export.jsonl:3"


@only_sqlite
def test_consent_that_is_taken_back_reaches_rows_of_files(
    engine: Engine, memory: Memory, home: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    anna = said(memory, "anna", consent=True)
    data = home / "jobs" / "j1" / "data"
    prepare([read_chats(exported(home))], RECIPE, tokenizer, data)
    before = len([*load_split(data)[0], *load_split(data)[1]])
    reached = withhold(anna, memory, Shelf(engine, home / "index"), home)
    after = [*load_split(data)[0], *load_split(data)[1]]
    assert reached.rows == before - len(after) == 3
    assert not any("cellar" in message.content for each in after for message in each.messages)
    assert purge(engine, data, "acme") == 0


def alone(person: Person, memory: Memory, home: Path) -> None:
    """Another machine's door, which cannot see this one's jobs."""
    assert not withhold(person, memory, Shelf(memory.engine, home / "index"), home / "elsewhere").rows


def here(person: Person, memory: Memory, home: Path) -> None:
    assert withhold(person, memory, Shelf(memory.engine, home / "index"), home).rows


@only_sqlite
@pytest.mark.parametrize("take_back", [here, alone])
@pytest.mark.parametrize("moment", ["while it trains", "while it is registered"])
def test_consent_that_is_taken_back_under_way_flags_what_comes_of_it(
    engine: Engine,
    memory: Memory,
    home: Path,
    tokenizer: PreTrainedTokenizerFast,
    take_back: Callable[[Person, Memory, Path], None],
    moment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    anna = said(memory, "anna", consent=True)
    job = Jobs(home).create(order_of(home, exported(home), tenant="acme", promote=True))
    prepare([read_chats(exported(home))], RECIPE, tokenizer, job.folder / jobs.DATA)
    (job.folder / BEGUN).write_text(json.dumps({"erased": 0}))  # as training leaves it when it reads the data
    sealed(job.folder / jobs.ADAPTER)
    if moment == "while it trains":
        take_back(anna, memory, home)
    else:
        add = AdapterRegistry.add

        def added(self: AdapterRegistry, *arguments: object, **more: object) -> object:
            take_back(anna, memory, home)
            return add(self, *arguments, **more)

        monkeypatch.setattr(AdapterRegistry, "add", added)
    steps = Steps(job, str(engine.url), lambda _: None, lambda: False)
    name = steps.register(Judged(accepted=True, reasons=(), scores={}, against="nothing"))
    registry = AdapterRegistry(engine, home / "versions")
    assert "consent" in registry.get(name).flagged
    assert registry.aliases().live is None, "it was to be promoted at once"
    assert "is flagged" in events(job.folder)[-1].message
