"""The desk's side: commands, reminders, the team's own system, one person as a desk, and who is forgotten."""

from pathlib import Path

import pytest
from aiohttp import web

from agent.events import Due
from connectors.cli import main
from connectors.privacy import copy_of
from tests.connectors.desk.chats import Chat, SlackChat, TelegramChat
from tests.connectors.desk.doors import TENANT, Doors, Scripted
from tests.connectors.desk.handing import HUMAN, cases, desk_for, rest, section

PRIVATE = "My heliotrope contract number is four thousand and seventeen."


async def test_commands_of_agents(doors: Doors, slack: SlackChat) -> None:
    chat = slack
    ann, mara, eve = chat.person("Ann"), chat.person("Mara"), chat.person("Eve")
    desk = desk_for(chat, mara)
    await doors.open(Scripted("At nine."), support=section(desk, agents=[chat.account(mara)]))
    chat.says(ann, HUMAN)
    await rest(doors)
    for order in ("cases", "case claim 1", "case show 1", "case dance", "case claim 7"):
        chat.orders(mara, order)
        await rest(doors)
    said = [each.text for each in chat.shown(mara) if each.is_final]
    for wanted in (
        "#1 · waits ·",
        "You have case #1.",
        "I want to talk to a real person",
        "case show NUMBER",
        "no case #7",
    ):
        assert any(wanted in text for text in said), (wanted, said)
    chat.orders(eve, "cases")
    chat.orders(eve, "case resolve 1")
    chat.orders(mara, "case resolve 1 Come at ten.")
    await rest(doors)
    assert sum("Only agents of support" in each.text for each in chat.shown(eve)) == 2
    heard = [each.text for each in chat.shown(ann) if each.is_final]
    assert sum("From our team: Come at ten." in text.replace("**", "") for text in heard) == 1
    assert [each.state for each in cases(doors)] == ["resolved"]


async def test_human_and_no_human(doors: Doors, telegram: TelegramChat, slack: SlackChat) -> None:
    chat = telegram
    ann, mara = chat.person("Ann", "de"), slack.person("Mara")
    desk = desk_for(slack, mara)
    await doors.open(Scripted("Um neun."), support=section(desk, language="de"))
    chat.says(ann, "Wann macht ihr auf?")
    await rest(doors)
    chat.orders(ann, "human Es eilt.")
    await rest(doors)
    assert any("Das ist jetzt Fall #1." in each.text for each in chat.shown(ann))
    assert any("Fall #1: ein Mensch ist gewünscht" in each.text for each in desk.shown())
    chat.orders(ann, "human")
    chat.orders(ann, "human no")
    await rest(doors)
    assert any("Fall #1 wartet noch" in each.text for each in chat.shown(ann))
    assert [each.state for each in cases(doors)] == ["withdrawn"]


async def test_an_open_case_is_named_again(doors: Doors, telegram: TelegramChat, slack: SlackChat) -> None:
    chat = telegram
    ann, mara = slack.person("Ann"), chat.person("Mara")
    desk = desk_for(chat, mara)
    await doors.open(Scripted("At nine."), support=section(desk, remind=30))
    slack.says(ann, HUMAN)
    await rest(doors)
    counts = await doors.delivery.counts()
    assert counts.get("later") == 1  # the reminder waits in the store
    (case,) = cases(doors)

    async def reminded() -> list[str]:
        before = len(desk.shown())
        due = Due(f"test/{before}", case.desk, "", "case", f"remind {case.number} 9")
        await doors.delivery.follow(due)
        await rest(doors)
        return [each.text for each in desk.shown()[before:]]

    (told,) = await reminded()
    assert "has been waiting for" in told
    chat.presses(mara, desk.shown()[-1], "Take it")
    await rest(doors)
    assert await reminded() == []
    slack.says(ann, "Hello?")
    await rest(doors)
    (told,) = await reminded()
    assert "for an answer of Mara" in told.replace("`", "")


async def test_outside_of_hours_the_asker_is_told_when_somebody_is_there(doors: Doors, slack: SlackChat) -> None:
    ann, mara = slack.person("Ann"), slack.person("Mara")
    desk = desk_for(slack, mara)
    never = {"to": desk.setting, "hours": "mon 00:00-00:01", "zone": "Europe/Berlin"}
    await doors.open(Scripted("At nine."), support={"desks": [never], "remind": 0})
    slack.says(ann, HUMAN)
    await rest(doors)
    told = next(each.text for each in slack.shown(ann) if "This is case #1" in each.text)
    assert "00:00 (Europe/Berlin)" in told
    assert desk.card()


async def test_one_person_can_be_a_desk(doors: Doors, slack: SlackChat, telegram: TelegramChat, chat: Chat) -> None:
    ann, mara = telegram.person("Ann"), chat.person("Mara")
    await doors.open(Scripted("At nine."), support={"desks": [{"to": chat.account(mara)}], "remind": 0})
    chat.says(mara, "Hello!")  # a bot may write first to nobody
    telegram.says(ann, HUMAN)
    await rest(doors)
    card = next(each for each in chat.shown(mara) if "Take it" in each.buttons)
    chat.presses(mara, card, "Take it")
    await rest(doors)
    claimed = next(each for each in chat.shown(mara) if "Return" in each.buttons)
    if chat.name == "slack":
        mara.writes("Yes?", None, claimed.ref)
    else:
        mara.writes("Yes?", reply_to=claimed.ref)
    chat.says(mara, "What is new?")  # to Atelier
    await rest(doors)
    heard = [each.text for each in telegram.shown(ann) if "From our team:" in each.text]
    assert [text.rpartition(" ")[2] for text in heard] == ["Yes?"]
    assert any("At nine." in each.text for each in chat.shown(mara))


async def test_a_change_is_told_to_the_team_s_own_system_and_in_the_terminal(
    doors: Doors, slack: SlackChat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    heard: list[dict[str, object]] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response(status=500 if len(heard) == 1 else 200)  # tried again

    app = web.Application()
    app.router.add_post("/cases", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/cases"
    ann, mara = slack.person("Ann"), slack.person("Mara")
    desk = desk_for(slack, mara)
    await doors.open(Scripted("At nine."), support=section(desk, webhook=url, webhook_private=True))
    slack.says(ann, f"{HUMAN} {PRIVATE}")
    await rest(doors)
    slack.presses(mara, desk.card(), "Resolve")
    await doors.until(lambda: any(each["event"] == "resolved" for each in heard))
    await rest(doors)
    await runner.cleanup()
    assert [each["event"] for each in heard] == ["opened", "opened", "resolved"]
    assert PRIVATE not in str(heard)
    await doors.close()
    settings = tmp_path / "atelier.toml"
    settings.write_text(f'home = "{doors.home}"\ntenant = "{TENANT}"\n')
    given = ["--settings", str(settings)]
    file = tmp_path / "cases.csv"
    assert main([*given, "cases", "export", "--csv", str(file)]) == 0
    header, row = file.read_text().splitlines()
    assert header.startswith("case,state,reason,opened")
    assert row.startswith("1,resolved,request,")
    assert PRIVATE not in row
    for words in (["cases", "list", "--all"], ["cases", "show", "1"], ["audit"], ["cases", "list", "--json"]):
        assert main([*given, *words]) == 0
    said = capsys.readouterr().out
    assert "#1 · done" in said
    assert PRIVATE in said  # of one case
    assert f"slack:{mara.id}" in said
    assert "case resolve #1" in said
    assert "cases export" in said
    assert main([*given, "cases", "show", "9"]) == 1


async def test_forgetting_and_the_copy_of_one_s_data_reach_cases(
    doors: Doors, telegram: TelegramChat, slack: SlackChat
) -> None:
    chat = telegram
    ann, mara = chat.person("Ann"), slack.person("Mara")
    desk = desk_for(slack, mara)
    await doors.open(Scripted("At nine."), support=section(desk))
    chat.says(ann, HUMAN)
    await rest(doors)
    slack.presses(mara, desk.card(), "Take it")
    await rest(doors)
    chat.says(ann, PRIVATE)
    await rest(doors)
    memory = doors.house.store.memory
    platform, _, user = chat.account(ann).partition(":")
    copy = copy_of(memory.person(f"{platform}:{TENANT}:{user}"), memory, doors.home)
    assert [line[2] for line in copy["cases"][0]["said_and_done"]] == [HUMAN, PRIVATE]
    chat.orders(ann, "forget yes")
    await rest(doors)
    told = chat.shown(ann)[-1].text
    assert "1 of your cases" in told
    assert "is left" in told  # nothing of theirs was found afterwards
    store = (doors.home / "store.db").read_bytes()
    assert PRIVATE.encode() not in store
    assert [each.state for each in cases(doors)] == ["withdrawn"]


async def test_a_desk_that_cannot_be_reached_is_said(doors: Doors, telegram: TelegramChat) -> None:
    ann = telegram.person("Ann")
    await doors.open(Scripted("At nine."), support={"desks": [{"to": "telegram:-100999"}], "remind": 0})
    telegram.says(ann, HUMAN)
    await rest(doors)
    assert any("could not reach our support team" in each.text for each in telegram.shown(ann))
