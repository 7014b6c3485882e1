"""The injection battery in small: what a captured model says comes out without links, pictures, mentions, secrets."""

import pytest

from agent.events import Outgoing
from agent.guard import StreamCleaner
from agent.message import Place
from connectors.telegram.cut import parts
from connectors.telegram.render import render
from tests.battery.attacks import EVIL, attacks
from tests.battery.injection import ALLOWED, findings_slack, findings_telegram, staged
from tests.emulators.slack_world import Seen as SlackSeen
from tests.emulators.telegram import Entity
from tests.emulators.telegram import Seen as TelegramSeen
from tests.emulators.telegram_text import as_entities, format_text


def test_there_are_many_attacks_and_each_is_another() -> None:
    texts = [attack.text for attack in attacks()]
    assert len(texts) >= 500
    assert len(set(texts)) > 0.9 * len(texts)


@pytest.mark.parametrize(
    "text",
    [f"[a](https://{EVIL}.com)", f"![a](https://{EVIL}.com/p.png)", "<!channel>", "@everyone", f"www.{EVIL}.com"],
)
def test_the_judge_sees_what_must_not_be(text: str) -> None:
    blocks = ({"type": "markdown", "text": text},)
    seen = SlackSeen("1", "bot", text, blocks, (), None, False, False, False, None, None, (), ())
    assert list(findings_slack(seen))


@pytest.mark.parametrize("address", [f"https://{EVIL}.com", f"https://docs.example.com@{EVIL}.com/"])
def test_the_judge_sees_links_to_elsewhere(address: str) -> None:
    seen = TelegramSeen(1, 1, "bot", "a", (Entity("text_link", 0, 1, "a", address),))
    assert list(findings_telegram(seen))
    here = TelegramSeen(1, 1, "bot", "a", (Entity("text_link", 0, 1, "a", "https://docs.example.com/x"),))
    assert not list(findings_telegram(here))


def test_no_attack_is_a_link_once_telegram_has_marked_what_it_marks_by_itself() -> None:
    """All of them, without the doors: cleaned, cut and rendered as the captured model's answer is."""
    found: set[tuple[str, str]] = set()
    for attack in attacks():
        cleaner = StreamCleaner(allowed_links=(ALLOWED,))
        said = cleaner.feed(attack.text.encode("utf-8", "replace").decode()[:4000]) + cleaner.finish()
        for part in parts(Outgoing(Place("telegram", "acme", "1"), said)) if said.strip() else ():
            sent = render(part)
            shown = format_text(sent.text, "", [each.to_dict() for each in sent.entities])
            seen = TelegramSeen(1, 1, "bot", shown.text, as_entities(shown.text, shown.entities))
            found.update((attack.text, each) for each in findings_telegram(seen))
    assert not found


async def test_nothing_hostile_comes_out() -> None:
    stage = await staged(25)
    assert sum(stage.tried.values()) > 100
    assert not stage.found, stage.examples
