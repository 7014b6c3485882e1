"""What a model says that no passage supports is not shown, at no moment; what is shown says where it stands."""

import pytest
from sqlalchemy import Engine

from agent.generation.checked import NONE_LEFT, CheckedGenerator
from agent.generation.extractive import ExtractiveGenerator
from agent.generation.generator import Limits, Piece
from agent.message import History, Intent, Move, Prompt
from agent.prompt import PERSONA
from agent.why import LEFT_OUT, why
from retrieval.encoder import TransformerEncoder
from retrieval.passage import Passage
from tests.agent.test_colleague import Scripted, colleague, knowledge, message, turn_of  # noqa: F401 - a fixture

PASSAGES = tuple(
    Passage(number, text, f"{number}.md", "Rules", None, 1, "acme/everyone", 0.9, 0.6)
    for number, text in enumerate(
        [
            "Every employee has 31 days of paid leave a year. Leave is asked for in the portal.",
            "The office opens at 8:00 and closes at 18:00. Run it so:\n\n```\natelier ingest FOLDER\n```",
        ],
        1,
    )
)
only_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def prompt(move: Move = Move.ANSWER, passages: tuple[Passage, ...] = PASSAGES) -> Prompt:
    return Prompt(PERSONA, History(), "How many days of paid leave do I have?", Intent.ASK, move, passages)


async def said(encoder: TransformerEncoder, script: list[str], asked: Prompt | None = None) -> tuple[str, list[Piece]]:
    checked = CheckedGenerator(Scripted(script), ExtractiveGenerator(encoder), encoder)
    shown, pieces = "", []
    async for piece in checked.stream(asked or prompt(), None, Limits()):
        shown = piece.text if piece.replaces else shown + piece.text
        pieces.append(piece)
    return shown, pieces


async def test_sentences_are_shown_as_they_are_borne_out_and_the_others_never(encoder) -> None:
    shown, pieces = await said(
        encoder,
        [
            "Sure! Every employee has 31 ",
            "days of paid leave a year [1]. ",
            "They also get a gym card worth 400 euros.",
            " It opens at 6:00 [2]. The office opens",
            " at 8:00 [1].\n\n- Ask for leave in the portal\n- Ask Mr. Petrov",
            "\n\nDo you need more?",
        ],
    )
    assert shown == (
        "Sure! Every employee has 31 days of paid leave a year [1]. The office opens at 8:00 [2].\n\n"
        "- Ask for leave in the portal [1]\n\nDo you need more?"
    )
    claims = [claim for piece in pieces for claim in piece.claims]
    assert [(claim.is_shown, claim.lacks) for claim in claims if not claim.is_shown] == [
        (False, "400"),
        (False, "6"),
        (False, "Petrov"),
    ]
    assert all("gym" not in piece.text and "Petrov" not in piece.text for piece in pieces)


async def test_where_nothing_is_left_the_documents_are_quoted_and_the_reply_says_so(encoder) -> None:
    shown, pieces = await said(encoder, ["Good question! You have 40 days of paid leave. ", "Mr. Petrov decides."])
    assert "31 days" in shown
    assert "40" not in shown
    assert NONE_LEFT in [piece.notice for piece in pieces]
    assert {piece.by for piece in pieces if piece.replaces} == {"extractive"}
    claims = [claim for piece in pieces if piece.replaces for claim in piece.claims]
    assert [(claim.is_shown, claim.is_read) for claim in claims] == [(False, False), (False, False), (True, True)]


@pytest.mark.parametrize(
    "script",
    [
        ["I could not find that ", "in the documents. ", "Do you mean paid leave?"],
        ["Leider konnte ich dazu nichts finden."],
        ["```\natelier ingest FOLDER\n```\n"],
        ["Run:\n\n```\natelier ", "ingest FOLDER\n```"],
    ],
)
async def test_refusals_questions_and_commands_of_the_documents_go_out_as_they_are(encoder, script: list[str]) -> None:
    shown, _ = await said(encoder, script)
    assert shown == "".join(script)


async def test_a_made_up_command_is_left_out_and_other_moves_are_not_checked(encoder) -> None:
    shown, _ = await said(encoder, ["Leave is asked for in the portal:\n\n", "```\nrm -rf secret/*\n```\n"])
    assert "rm" not in shown
    assert "31 days" in shown
    chat = ["Hello ", "Ann, ", "40 of us are here!"]
    assert (await said(encoder, chat, prompt(Move.CHAT)))[0] == "".join(chat)
    assert "40" not in (await said(encoder, ["You have 40 days."], prompt(passages=())))[0]


@only_sqlite
async def test_why_shows_the_passages_and_what_was_left_out(engine: Engine, knowledge, encoder) -> None:  # noqa: F811 - the fixture
    script = ["Every employee has 31 days of paid leave a year [1]. ", "Mr. Petrov pays 900 euros on top."]
    checked = CheckedGenerator(Scripted(script), ExtractiveGenerator(encoder), encoder)
    talk = colleague(engine, knowledge, encoder, checked)
    shown, turn = await turn_of(talk, message(engine, "How many days of paid leave do I have?"))
    assert shown.strip() == "Every employee has 31 days of paid leave a year [1]."
    told = why(turn)
    assert "[1] leave.md: Leave (" in told
    assert LEFT_OUT in told
    assert "Mr. Petrov pays 900 euros on top." in told
    assert "not in the passages: 900" in told
