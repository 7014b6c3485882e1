"""The time, a sum, who reads this and how it is deleted are told at once; what only sounds like it is searched."""

from datetime import UTC, datetime
from time import process_time

import pytest

from agent.conversation import recalls
from agent.generation.answer import is_dated
from agent.generation.phrases import kind_of_small_talk
from agent.generation.starter import fitting
from agent.ourselves import Asked, asked_of_us, may_mean_answer, told_of_us
from agent.outline import asked_outline, named_so, outlined
from retrieval.passage import Passage

NOON = datetime(2026, 11, 27, 12, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("what time is it?", Asked.TIME),
        ("What's the date today", Asked.TIME),
        ("wie spät ist es?", Asked.TIME),
        ("welcher Tag ist heute?", Asked.TIME),
        ("what's 17*23?", Asked.SUM),
        ("2 + 2", Asked.SUM),
        ("do you store what I write?", Asked.PRIVACY),
        ("is this private?", Asked.PRIVACY),
        ("who can read this?", Asked.PRIVACY),
        ("can my boss read this?", Asked.PRIVACY),
        ("can anyone else see this?", Asked.PRIVACY),
        ("speicherst du was ich schreibe?", Asked.PRIVACY),
        ("wer kann das hier lesen?", Asked.PRIVACY),
        ("Was passiert mit meinen Daten?", Asked.PRIVACY),
        ("delete my data", Asked.DELETION),
        ("lösche bitte alles über mich", Asked.DELETION),
        ("bist du ein Mensch?", Asked.PROGRAM),
        ("what's the weather like?", Asked.OUTSIDE),
        ("remind me tomorrow to call Ann", Asked.OUTSIDE),
        ('translate "good morning" to German', Asked.OUTSIDE),
        ("what time is the meeting?", None),
        ("what is the date of the party?", None),
        ("is the office safe?", None),
        ("who can read the contract?", None),
        ("delete the file", None),
        ("2026-11-27", None),
        ("10:30", None),
        ("20/5 rule", None),
        ("what is 24/7?", None),
        ("can you save this?", None),
        ("kann mein Chef Urlaub ablehnen?", None),
        ("do you ship this?", None),
        ("remind me how many days of leave I have", None),
        ("Remind me again, please, about the leave policy", None),
        ("erinner mich noch mal, wann die Kantine öffnet", None),
        ("erinnere mich morgen an den Anruf", Asked.OUTSIDE),
    ],
)
def test_what_is_asked_of_us_is_known(text: str, kind: Asked | None) -> None:
    assert asked_of_us(text) is kind


@pytest.mark.parametrize(
    ("text", "language", "part"),
    [
        ("what time is it?", "", "12:05 (UTC) on Friday, 2026-11-27"),
        ("wie spät ist es?", "de", "12:05 (UTC), Freitag"),
        ("what's 17*23?", "", "391"),
        ("12,5 * (4 - 2)", "de", "25"),
        ("what is 1,000 + 1", "", "1001"),
        ("what's (1/0)", "", ""),
        ("was ist 1.000 + 500?", "de", "1500"),
        ("was ist 1,5 + 2", "de-AT", "3,5"),
        ("what is 1,000x2", "", "2000"),
        ("wer kann das lesen?", "de", "/forget yes"),
    ],
)
def test_it_is_told_in_the_language_of_the_question(text: str, language: str, part: str) -> None:
    kind = asked_of_us(text)
    assert kind is not None
    said = told_of_us(kind, text, language, NOON)
    assert part in said
    assert bool(said) is bool(part)


@pytest.mark.parametrize(
    ("text", "may"),
    [("who can read this?", True), ("is it confidential?", True), ("is this chat private?", False), ("2 + 2", False)],
)
def test_what_may_be_asked_of_the_answer_before_is_known(text: str, *, may: bool) -> None:
    kind = asked_of_us(text)
    assert kind is not None
    assert may_mean_answer(kind, text) is may


def test_no_message_keeps_the_forms_busy() -> None:
    start = process_time()
    for text in (
        "what's " + "1+" * 55,
        "(" * 60 + "1+1",
        "ok " * 39,
        'translate "' + "x " * 50,
        "is my " + "data " * 20,
    ):
        if (kind := asked_of_us(text)) is not None:
            told_of_us(kind, text, "", NOON)
    assert process_time() - start < 0.5


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("was habe ich zuerst gefragt?", "first"),
        ("was habe ich gerade gefragt?", "asked"),
        ("Was war meine letzte Frage?", "asked"),
        ("was hast du gerade gesagt?", "said"),
        ("worüber haben wir gesprochen?", "all"),
        ("can you show me our chat?", "all"),
        ("was habe ich für Urlaub?", None),
        ("was hast du für Dokumente?", None),
    ],
)
def test_what_was_said_is_asked_for_in_german_too(text: str, what: str | None) -> None:
    assert recalls(text) == what


@pytest.mark.parametrize(
    ("signs", "kind"),
    [("👍", "cheers"), ("🎉🎉", "cheers"), (":)", "cheers"), ("😡", "frowns"), (":(", "frowns"), ("🦊", "otherwise")],
)
def test_signs_without_words_are_answered_as_they_are_meant(signs: str, kind: str) -> None:
    assert kind_of_small_talk(signs) == kind
    assert bool(fitting(kind)) is (kind == "otherwise"), "no taught reply suits a sign"


@pytest.mark.parametrize(
    ("asked", "source"),
    [
        ("summarise the leave policy", "hr/leave-policy.md"),
        ("can you give me a short overview of the price list please?", "price_list.csv"),
        ("what does the leave policy say?", "hr/leave-policy.md"),
        ("fass die Urlaubsregelung zusammen", "urlaubsregelung.pdf"),
        ("summarise leave-policy.md", "hr/leave-policy.md"),
        ("what is in hr/leave-policy.md?", "hr/leave-policy.md"),
        ("sum up the leave-policy please.", "hr/leave-policy.md"),
        ("summarise the policy on dogs", ""),
        ("summarise our ideas", ""),
        ("what's in it for me?", ""),
        ("summarise the FAQ policy", "faq.md"),
        ("summarise the safety rules", "safety-rules-2026.md"),
        ("fass die Hausordnung zusammen", "hausordnung.md"),
        ("summarise the travel policy", "hr/travel.md"),
        ("summarise the price policy", "price_list.csv"),
        ("give me an overview of the parking rules", ""),
        ("summarise the policy", ""),
    ],
)
def test_the_document_that_is_to_be_summed_up_is_known_by_its_name(asked: str, source: str) -> None:
    known = ["faq.md", "hr/leave-policy.md", "hr/leave-policy-2024.md", "price_list.csv", "urlaubsregelung.pdf"]
    known += ["safety-rules-2025.md", "safety-rules-2026.md", "hausordnung.md", "hausordnung-2023.md", "hr/travel.md"]
    known += ["parking-guests.md", "parking-staff.md", "expense-report-policy.md"]
    assert named_so(asked_outline(asked), known) == source


def test_a_document_is_shown_by_how_its_sections_begin() -> None:
    texts = {
        "Leave": "Last updated: 3 May 2026",
        "Leave > Annual leave": "You have 28 days. Ask early.",
        "Leave > Sick leave": "Call before nine. Rest.",
    }
    given = [Passage(i, text, "a.md", head, None, i, "t/all", 0.0) for i, (head, text) in enumerate(texts.items())]
    shown = outlined(given, "")
    assert "- **Annual leave**: You have 28 days. [2]\n- **Sick leave**: Call before nine. [3]" in shown
    assert "updated" not in shown
    assert outlined([], "") == ""


def test_of_a_page_without_sections_more_is_shown_and_not_its_title_alone() -> None:
    prose = "Trips are booked by rail. Planes are for long ways. Hotels cost up to 90 euros. Book early. Keep receipts."
    (page, list_, note) = (
        Passage(1, text, "travel.md", heading, None, 1, "t/all", 0.0)
        for text, heading in ((f"Trips\n\n{prose}", ""), ("- by rail\n- by bus", "Travel"), ("Notes\n", "Notes"))
    )
    assert f"\n- {prose.removesuffix(' Keep receipts.')} [1]" in outlined([page], "")
    assert "- **Travel**: by rail [1]\n- **Notes**: Notes [2]" in outlined([list_, note], "")


@pytest.mark.parametrize(
    ("text", "is_no_more"),
    [
        ("*Last updated: 3 March 2026*", True),
        ("Zuletzt geändert am 3. Mai 2026", True),
        ("Version 2.1", True),
        ("Version control is required.", False),
        ("Changed passwords expire.", False),
        ("Reviewed by Ann.", False),
    ],
)
def test_a_line_that_only_dates_a_document_is_known(text: str, *, is_no_more: bool) -> None:
    assert is_dated(text) is is_no_more
