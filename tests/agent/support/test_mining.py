"""What people settled in a thread is found, and what they left open is not."""

import pytest

from agent.support.mining import Said, pairs

QUESTION = "How do I renew my garage badge?"
ANSWER = "Bring it to the reception, they renew it."


def thread(*lines: tuple[str, str] | Said) -> list[Said]:
    return [each if isinstance(each, Said) else Said(str(number), *each) for number, each in enumerate(lines)]


def marked(emoji: str, *by: str) -> Said:
    return Said("1", "ben", ANSWER, ((emoji, frozenset(by)),))


ASKED, ANSWERED = ("ann", QUESTION), ("ben", ANSWER)


@pytest.mark.parametrize(
    "settled",
    [
        thread(ASKED, ANSWERED, ("ann", "Thanks a lot!")),
        thread(ASKED, ("eve", "No idea, sorry about that."), ANSWERED, ("ann", "That worked, thank you")),
        thread(("ann", "Wie verlängere ich die Karte?"), ANSWERED, ("ann", "Danke dir!"), ("eve", "Good to know now.")),
        thread(ASKED, marked("✅", "eve")),
        thread(ASKED, marked("👍", "ann"), ("eve", "There is a form as well.")),
        thread(ASKED, marked("❤️", "ann")),
    ],
)
def test_an_accepted_answer_is_found(settled: list[Said]) -> None:
    (pair,) = pairs([settled])
    assert (pair.question.account, pair.answer.account, pair.answer.text) == ("ann", "ben", ANSWER)


@pytest.mark.parametrize(
    "open_",
    [
        thread(ASKED, ANSWERED),
        thread(ASKED, ANSWERED, ("ann", "Thanks, but it is closed today.")),
        thread(ASKED, ANSWERED, ("ann", "Thanks! And on Sundays?")),
        thread(ASKED, ANSWERED, ("ann", "Thanks!"), ("ben", "Welcome."), ("ann", "Hm, which one is it then?")),
        thread(ASKED, ANSWERED, ("eve", "Thanks!")),  # who asked has not said so
        thread(ASKED, marked("👍", "eve")),
        thread(ASKED, marked("✅", "ben")),  # one's own mark
        thread(ASKED, ("ann", "Found it, thanks!")),  # nobody else answered
        thread(ASKED, ("", "Atelier answered this one."), ("ann", "Thanks!")),
        thread(ASKED, ("ben", "Which badge do you mean?"), ("ann", "Thanks!")),
        thread(ASKED, ("ben", "+1"), ("ann", "Thanks!")),
        thread(("ann", "The badge is new."), ANSWERED, ("ann", "Thanks!")),
        thread(ASKED, ("ben", "word " * 600), ("ann", "Thanks!")),
        thread(ASKED),
        [],
    ],
)
def test_what_was_left_open_is_not(open_: list[Said]) -> None:
    assert pairs([open_]) == []
