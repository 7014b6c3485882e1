"""What administrators order of fine-tuning in a chat, where nothing is trained: the loop has a test of its own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from agent.events import Command, Due
from agent.message import Place
from connectors.desk.finetune import KIND, MOST_STARTS
from connectors.desk.finetune_words import Wish, wish_of
from finetune.job import Order, State, save
from finetune.jobs import Jobs
from finetune.recipe import Recipe
from finetune.registry import Learned
from tests.agent.models import build_model
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.connectors.desk.test_finetune_refused import Followed
from tests.finetune.adapters import sealed

ORDER = Order(name="team", base="/models/small", recipe=Recipe(), tenant=TENANT, rated=True)


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ("run rated", Wish("run", rated=True)),
        ("run --rated --knowledge", Wish("run", rated=True, knowledge=True)),
        ("run —rated", Wish("run", rated=True)),  # a phone makes one dash of two
        ("Run documents recipe small-cpu name ours", Wish("run", "ours", recipe="small-cpu", knowledge=True)),
        ("list", Wish("list")),
        ("show 20261126", Wish("show", "20261126")),
        ("compare team-1 team-2", Wish("compare", "team-1", "team-2")),
        ("promote team-2", Wish("promote", "team-2")),
        ("promote team-2 share 10%", Wish("promote", "team-2", share=0.1)),
        ("promote share 0,25 team-2", Wish("promote", "team-2", share=0.25)),
        ("promote —share 0", Wish("promote", share=0.0)),
        ("promote team-2 HERE", Wish("promote", "team-2", here=True)),
        ("promote team-2 --channel C0123ABCD", Wish("promote", "team-2", channel="C0123ABCD")),
        ("promote team-2 channel -1001234567890", Wish("promote", "team-2", channel="-1001234567890")),
        ("promote team-2 channel #C0123ABCD", Wish("promote", "team-2", channel="C0123ABCD")),
        ("promote team-2 channel #general", None),  # no trial would ever match a name
        ("promote team-2 share much", None),
        ("promote team-2 share", None),
        ("promote team-2 team-3", None),
        ("", None),
        ("dance", None),
        ("run data /etc/passwd", None),
        ("run rated base /etc", None),
        ("run recipe", None),
        ("list everything", None),
        ("rollback now please", None),
    ],
)
def test_what_is_written_is_a_wish_or_none(words: str, wish: Wish | None) -> None:
    assert wish_of(words) == wish


async def test_without_a_wish_it_says_how_it_is_used(doors: Doors, chat: Chat) -> None:
    ann = chat.person("Ann")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    chat.orders(ann, "finetune")
    await doors.settle()
    assert f"{chat.begin}finetune run rated" in chat.shown(ann)[-1].text


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("run rated", "There is no language model to fine-tune"),
        ("run rated recipe /etc/passwd", "There is no language model"),
        ("show", "There are no fine-tuning jobs yet"),
        ("list", "There are no jobs yet"),
        ("promote", "There is no version yet"),
        ("rollback", "There is nothing to roll back"),
    ],
)
async def test_every_refusal_is_a_sentence_in_the_chats_own_words(
    doors: Doors, telegram: Chat, words: str, reason: str
) -> None:
    ann = telegram.person("Ann")
    await doors.open(Scripted(), administrators=(telegram.account(ann),))
    telegram.orders(ann, f"finetune {words}")
    await doors.settle()
    shown = telegram.shown(ann)[-1].text
    assert reason in shown
    assert "atelier finetune" not in shown


async def test_nobody_names_this_machines_files_from_a_chat(
    doors: Doors, telegram: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = telegram.person("Ann")
    monkeypatch.setenv("ATELIER_MODEL", str(build_model(tmp_path / "small", hidden=16, layers=1)))
    await doors.open(Scripted(), administrators=(telegram.account(ann),))
    telegram.orders(ann, "finetune run rated recipe ../../etc/passwd")
    await doors.settle()
    assert "There is no such recipe. Name one of small-cpu" in telegram.shown(ann)[-1].text
    assert Jobs(doors.home).known() == []


async def test_where_others_read_along_it_asks_for_a_direct_message(doors: Doors, slack: SlackChat) -> None:
    ann = slack.person("Ann")
    await doors.open(Scripted(), administrators=(slack.account(ann),))
    here = Place("slack", TENANT, "C77")
    command = Command("t1", here, f"slack:{TENANT}:{ann.id}", "finetune", "run rated", is_shared=True)
    (said,) = await doors.delivery._handler(command, Followed("slack"))
    assert "People of other companies read along here" in said.text
    assert said.audience == "one"


async def test_versions_are_promoted_and_rolled_back(doors: Doors, chat: Chat, tmp_path: Path) -> None:
    ann = chat.person("Ann")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    registry = doors.house.store.registry
    registry.add("team", sealed(tmp_path / "adapter"), scores={"held_out_loss": 1.5})
    for words, said in (
        ("compare team-1", "1.5000"),
        ("promote team-1 share 10%", "team-1 answers 10% of conversations on trial"),
        ("promote team-1 share 200%", "between 0 and 1"),
        ("promote team-1 here", "on trial"),
        ("promote team-1 share 0", "The trial of team-1 is over"),
        ("promote team-1 share 0", "team-1 is not on trial"),
        ("promote team-1", "team-1 is live"),
        ("rollback", "team-1 is taken back"),
    ):
        chat.orders(ann, f"finetune {words}")
        await doors.settle()
        assert said in chat.shown(ann)[-1].text
    assert registry.aliases().live is None


async def test_who_takes_consent_back_hears_which_versions_learned_from_them(
    doors: Doors, telegram: Chat, tmp_path: Path
) -> None:
    ann = telegram.person("Ann")
    await doors.open(Scripted())
    store = doors.house.store
    person = store.memory.person(f"telegram:{TENANT}:{ann.id}")
    store.registry.add("team", sealed(tmp_path / "adapter"), learned_from=Learned(frozenset({person.id})))
    telegram.orders(ann, "consent no")
    await doors.settle()
    assert "what team-1 learned from your words" in telegram.shown(ann)[-1].text
    assert "consent" in store.registry.get("team-1").flagged


async def test_in_german_it_speaks_german(doors: Doors, telegram: Chat, tmp_path: Path) -> None:
    ann = telegram.person("Ann", language="de")
    await doors.open(Scripted(), administrators=(telegram.account(ann),))
    doors.house.store.registry.add("team", sealed(tmp_path / "adapter"))
    for words, said in (
        ("", "Trainiere das Modell"),
        ("show", "Es gibt noch keine Trainingsaufträge. Mit /finetune run beginnt es."),
        ("promote team-1 share 10%", "team-1 antwortet zur Probe in 10% der Gespräche. Live wird es mit"),
        ("promote team-1 share 0", "Die Probe von team-1 ist vorbei: Überall antwortet das Modell ohne Adapter."),
        ("promote team-1", "team-1 ist live: Der laufende Bot antwortet in Sekunden damit."),
        ("promote team-7", "Es gibt keine Version team-7. Am nächsten kommt team-1."),
        ("rollback", "team-1 ist zurückgenommen"),
    ):
        telegram.orders(ann, f"finetune {words}".strip())
        await doors.settle()
        assert said in telegram.shown(ann)[-1].text.replace("`", "")


async def test_a_job_that_always_ends_is_given_up_and_said_so(doors: Doors, chat: Chat) -> None:
    ann = chat.person("Ann")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    chat.says(ann, "Hello")
    await doors.settle()
    job = Jobs(doors.home).create(ORDER)
    save(replace(job, state=State.RUNNING, starts=MOST_STARTS))
    await doors.delivery.follow(_due(chat, ann, job.id))
    await doors.settle()
    (shown,) = [each for each in chat.shown(ann) if "Fine-tuning" in each.text]
    assert f"Its process was ended {MOST_STARTS} times" in shown.text
    assert "Go on" in shown.buttons
    assert Jobs(doors.home).get(job.id).state is State.FAILED


async def test_how_a_job_ended_is_said_with_a_picture_and_what_can_be_done(
    doors: Doors, chat: Chat, tmp_path: Path
) -> None:
    ann = chat.person("Ann")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    chat.says(ann, "Hello")
    await doors.settle()
    job = Jobs(doors.home).create(ORDER)
    version = doors.house.store.registry.add("team", sealed(tmp_path / "adapter"), job=job.id)
    Image.new("RGB", (60, 40)).save(job.folder / "loss.png")
    save(replace(job, state=State.SUCCEEDED, version=version.name, starts=1))
    for _ in range(2):  # as after a crash: it is one event
        await doors.delivery.follow(_due(chat, ann, job.id))
    await doors.settle()
    (shown,) = [each for each in chat.shown(ann) if "Fine-tuning" in each.text]
    assert "team-1 is trained, and the gate lets it through." in shown.text
    assert shown.buttons == ("Make team-1 live",)
    assert pictures(chat, ann) == 1
    chat.presses(ann, shown, "Make team-1 live")
    await doors.settle()
    live = doors.house.store.registry.aliases().live
    assert live is not None
    assert live.name == "team-1"
    again = Jobs(doors.home).create(ORDER)
    doors.house.store.registry.add("team", sealed(tmp_path / "taken-back"), job=again.id)
    doors.house.store.registry.flag("team-2", "Somebody took their consent back.")
    save(replace(again, state=State.SUCCEEDED, version="team-2", starts=1))
    await doors.delivery.follow(_due(chat, ann, again.id))
    await doors.settle()
    shown = next(each for each in chat.shown(ann) if "team-2 is trained" in each.text)
    assert "team-2 is flagged: Somebody took their consent back." in shown.text
    assert not shown.buttons


def pictures(chat: Chat, who: Any) -> int:
    if isinstance(chat, SlackChat):
        return sum(bool(line.files) for line in chat.emulator.seen(who.dm))
    assert isinstance(chat, TelegramChat)
    return sum(line.file == "photo" and "The loss of team-1" in line.text for line in chat.emulator.seen(who))


async def test_another_machines_job_is_left_to_it(doors: Doors, chat: Chat) -> None:
    ann = chat.person("Ann")
    await doors.open(Scripted(), administrators=(chat.account(ann),))
    made = Jobs(doors.home).create(ORDER)
    Jobs(doors.home).remove(made.id)
    await doors.delivery.follow(_due(chat, ann, made.id))
    await doors.until(lambda: doors.delivery.last_look)
    assert [each for each in chat.shown(ann) if "Fine-tuning" in each.text] == []


def _due(chat: Chat, who: object, job: str) -> Due:
    channel = who.dm if isinstance(chat, SlackChat) else str(who.id)
    platform, _, user = chat.account(who).partition(":")
    return Due(f"{KIND}/{job}", Place(chat.name, TENANT, channel), f"{platform}:{TENANT}:{user}", KIND, job)
