"""Techniques really change what a session asks, of whom, and what it takes."""

import re
from pathlib import Path

import pytest

from agent.ideation.acts import Kind, Phase
from agent.ideation.refusals import SessionRefused
from agent.ideation.sessions import Sessions
from agent.ideation.techniques import techniques, with_own
from agent.ideation.turns import Task, empty_cells, on_sheet, reads_as
from retrieval.errors import SettingsError
from tests.agent.ideation.rooms import Room


def begin(desk: Room, technique: str, *names: str) -> str:
    session = desk.open("shorter queues")
    for name in names:
        desk.sessions.enter(session, desk.person(name), key=desk.key())
    desk.sessions.course.begin(session, desk.person("ann"), technique, key=desk.key())
    return session


def task(desk: Room, session: str, name: str) -> Task:
    found = desk.sessions.task(desk.sessions.board(session), desk.person(name).id)
    assert found is not None
    return found


def on(desk: Room, session: str) -> None:
    desk.sessions.course.next_stage(session, desk.person("ann"), key=desk.key())


def refused(reason: str):
    return pytest.raises(SessionRefused, check=lambda error: error.reason == reason)


def test_brainwriting_sheets_go_round_when_everybody_has_written_three(desk: Room) -> None:
    session = begin(desk, "brainwriting", "bob", "cy")
    people = ("ann", "bob", "cy")
    assert [task(desk, session, each).sheet for each in people] == [0, 1, 2]
    for name in people:
        for number in range(3):
            desk.add(session, name, f"{name}'s idea {number}")
    board = desk.sessions.board(session)
    assert board.session.stage == 1
    assert [task(desk, session, each).sheet for each in people] == [1, 2, 0]
    assert [each.text for each in task(desk, session, "cy").on] == [f"ann's idea {number}" for number in range(3)]
    assert task(desk, session, "cy").left == 3
    assert {each.text[:3] for each in board.seen_by(desk.person("cy").id)} == {"cy'"}  # written where nobody reads
    late = desk.sessions.add(session, desk.person("dora"), "From the door", key=desk.key()).idea
    assert late is not None
    assert late.sheet is None
    for _ in (1, 2):
        on(desk, session)
    assert desk.sessions.board(session).session.technique == ""  # three people, three rounds
    assert len(desk.move(session, Phase.REVEAL).seen_by("")) == 10


def test_a_round_of_brainwriting_ends_with_its_timer_too(desk: Room) -> None:
    session = begin(desk, "brainwriting", "bob")
    desk.add(session, "bob", "A second counter")
    desk.clock.forward(5)
    board = desk.sessions.course.tick(session).board
    assert board.session.stage == 1
    assert [each.text for each in on_sheet(board, 1)] == ["A second counter"]
    assert task(desk, session, "ann").sheet == 1
    assert not desk.sessions.course.tick(session).is_new


def test_six_hats_take_one_kind_of_thought_at_a_time(desk: Room) -> None:
    session = begin(desk, "six_hats", "bob")
    desk.add(session, "bob", "Forty people wait at noon")
    with pytest.raises(SessionRefused, match="Now facts are wanted, and this reads like one of the ideas"):
        desk.add(session, "bob", "What if we opened a second counter?")
    for _ in range(4):
        on(desk, session)
    with refused("wants"):
        desk.add(session, "bob", "I love the blue one")
    desk.add(session, "bob", "The queue moves to the door")
    insisted = desk.sessions.add(session, desk.person("bob"), "Let's see", key=desk.key(), insists=True).board
    assert [(each.kind, each.tags) for each in insisted.ideas] == [
        (Kind.FACT, ("white hat",)),
        (Kind.CAUTION, ("black hat",)),
        (Kind.CAUTION, ("black hat",)),
    ]
    assert insisted.open == ()  # none of these is to be voted on


def test_crazy_eights_takes_eight_from_each_in_eight_minutes(desk: Room) -> None:
    session = begin(desk, "crazy_eights", "bob")
    board = desk.sessions.board(session)
    assert board.session.stage_ends is not None
    assert (board.session.stage_ends - desk.clock.now).total_seconds() == 8 * 60
    for number in range(8):
        assert task(desk, session, "bob").left == 8 - number
        desk.add(session, "bob", f"Sketch {number}")
    with refused("quota"):
        desk.add(session, "bob", "Sketch 9")
    desk.clock.forward(8)
    assert desk.sessions.course.tick(session).board.session.technique == ""


def test_bad_ideas_are_turned_round_one_by_one(desk: Room) -> None:
    session = begin(desk, "reverse", "bob")
    worse = desk.add(session, "bob", "Close all counters but one")
    slow = desk.add(session, "ann", "Answer every call first")
    assert desk.sessions.board(session).open == ()
    on(desk, session)
    assert [task(desk, session, each).on[0].id for each in ("ann", "bob")] == [worse, slow]
    assert "*Answer every call first*" in task(desk, session, "bob").text
    turned = desk.sessions.add(session, desk.person("bob"), "A person who only takes calls", key=desk.key()).idea
    assert turned is not None
    assert (turned.kind, turned.parents) == (Kind.IDEA, (slow,))
    assert task(desk, session, "bob").on[0].id == worse
    desk.add(session, "ann", "Open by the length of the queue")
    assert desk.sessions.board(session).session.technique == ""  # all are turned round


def test_another_bad_idea_than_the_one_dealt_is_chosen_by_its_number(desk: Room) -> None:
    session = begin(desk, "reverse", "bob")
    worse = desk.add(session, "bob", "Close all counters but one")
    desk.add(session, "ann", "Answer every call first")
    on(desk, session)
    turned = desk.sessions.add(session, desk.person("bob"), f"{worse}: Open two more", key=desk.key()).idea
    assert turned is not None
    assert (turned.text, turned.parents) == ("Open two more", (worse,))
    later = desk.sessions.add(session, desk.person("bob"), "99: bottles of tea", key=desk.key()).idea
    assert later is not None
    assert later.text == "99: bottles of tea"  # there is no 99


def test_a_stage_with_nothing_to_deal_is_passed_over(desk: Room) -> None:
    session = begin(desk, "reverse", "bob")
    on(desk, session)
    assert desk.sessions.board(session).session.technique == ""  # nobody named a bad idea


def test_who_comes_later_gets_a_role_of_their_own(desk: Room) -> None:
    session = begin(desk, "role_storming", "bob")
    late = desk.sessions.add(session, desk.person("cy"), "A stool to stand on", key=desk.key()).idea
    assert late is not None
    roles = [task(desk, session, each).role for each in ("ann", "bob", "cy")]
    assert len(set(roles)) == 3
    assert late.tags == (roles[2],)
    assert "**…**" in _for_all(desk, session)  # what is dealt to one is not what all are asked


def _for_all(desk: Room, session: str) -> str:
    found = desk.sessions.task(desk.sessions.board(session))
    assert found is not None
    return found.text


def test_roles_are_dealt_and_go_round(desk: Room) -> None:
    session = begin(desk, "role_storming", "bob", "cy")
    first = [task(desk, session, each).role for each in ("ann", "bob", "cy")]
    assert len(set(first)) == 3
    idea = desk.sessions.add(session, desk.person("bob"), "A stool to stand on", key=desk.key()).idea
    assert idea is not None
    assert idea.tags == (first[1],)
    on(desk, session)
    assert [task(desk, session, each).role for each in ("ann", "bob")] == first[1:]


def test_starbursting_takes_questions_that_begin_with_its_word(desk: Room) -> None:
    session = begin(desk, "starbursting", "bob")
    with pytest.raises(SessionRefused, match="begin with who"):
        desk.add(session, "bob", "A second counter")
    with refused("wants_question"):
        desk.add(session, "bob", "When do people come?")
    asked = desk.add(session, "bob", "Who waits longest?")
    for _ in range(6):
        on(desk, session)
    assert task(desk, session, "bob").on[0].id == asked
    answer = desk.sessions.add(session, desk.person("bob"), "A seat for the old", key=desk.key()).idea
    assert answer is not None
    assert (answer.kind, answer.parents) == (Kind.IDEA, (asked,))


def test_the_design_space_shows_the_cells_that_are_empty(desk: Room) -> None:
    session = begin(desk, "design_space", "bob")
    with refused("no_dimension"):
        desk.add(session, "bob", "price")
    desk.add(session, "bob", "price: free, paid")
    desk.add(session, "ann", "place: at the door, online")
    on(desk, session)
    given = task(desk, session, "bob").cell
    idea = desk.add(session, "bob", "Numbers drawn at the door")
    (stands,) = desk.sessions.board(session).open
    assert stands.values == given  # the cell that was dealt is filled, so the next one is dealt another
    assert given not in empty_cells(desk.sessions.board(session))
    done = desk.sessions.put_in_cell(session, None, idea, ["Free", "at the door"], key=desk.key())
    assert empty_cells(done.board) == (("paid", "online"), ("free", "online"), ("paid", "at the door"))
    assert "**price: paid, place: online**" in task(desk, session, "ann").text
    with refused("no_idea"):  # what is no idea stands in no cell
        desk.sessions.put_in_cell(session, None, "1", ["free", "online"], key=desk.key())
    with refused("bad_cell"):
        desk.sessions.put_in_cell(session, None, idea, ["free", "on the moon"], key=desk.key())


def test_a_stimulus_is_drawn_for_each_stage_and_named_as_a_source(desk: Room) -> None:
    drawn = iter([("a zip", "guide/zips.md"), ("a lighthouse", "")])
    desk.sessions = Sessions(desk.memory.engine, draw=lambda *_: next(drawn), now=desk.clock)
    session = begin(desk, "random_stimulus", "bob")
    assert "**a zip**" in task(desk, session, "bob").text
    idea = desk.sessions.add(session, desk.person("bob"), "Two queues that mesh", key=desk.key()).idea
    assert idea is not None
    assert idea.sources == ("guide/zips.md",)
    desk.clock.forward(1)
    on(desk, session)
    assert "**a lighthouse**" in task(desk, session, "bob").text


def test_every_technique_can_be_gone_through(desk: Room) -> None:
    session = begin(desk, "scamper", "bob")
    for technique in techniques():
        board = desk.sessions.course.begin(session, desk.person("ann"), technique.id, key=desk.key()).board
        for stage in range(len(technique.plan(2))):
            assert board.session.stage == stage
            asked = task(desk, session, "bob")
            assert "{" not in asked.text
            if asked.kind in (Kind.BAD_IDEA, Kind.QUESTION, Kind.DIMENSION):  # what the last stage deals
                word = re.findall(r"\w+", asked.text)[0]
                desk.add(session, "bob", "Price: free, paid" if asked.kind is Kind.DIMENSION else f"{word} of it?")
            board = desk.sessions.course.next_stage(session, desk.person("ann"), key=desk.key()).board
        assert board.session.technique == ""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("What if we met outside?", Kind.IDEA),
        ("That is too expensive", Kind.CAUTION),
        ("I hate mornings", Kind.FEELING),
        ("How many come?", Kind.QUESTION),
        ("Forty people wait", None),
    ],
)
def test_what_a_contribution_plainly_is(text: str, kind: Kind | None) -> None:
    assert reads_as(text) is kind


OWN = """
[[technique]]
id = "premortem"
title = "Premortem"
names = ["premortem"]
when = "before something starts"

[[technique.stages]]
ask = "A year on, {topic} has failed. Why?"
takes = "caution"
minutes = 5

[[technique.stages]]
ask = "What would have saved it?"
"""


def test_a_team_brings_its_own_technique(desk: Room, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    known = with_own(file)
    assert [each.id for each in known[:2]] == ["premortem", "scamper"]
    desk.sessions = Sessions(desk.memory.engine, known, now=desk.clock)
    session = begin(desk, "premortem", "bob")
    assert task(desk, session, "bob").text == "A year on, shorter queues has failed. Why?"
    desk.add(session, "bob", "Nobody came")
    assert desk.sessions.board(session).ideas[0].kind is Kind.CAUTION


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('takes = "caution"', 'takes = "cautions"', r"'premortem', stage 1: `takes` is 'cautions', and may be one of"),
        ("minutes = 5", 'minutes = "five"', "stage 1: `minutes` is to be a number"),
        ("minutes = 5", "minutes = -1", "stage 1: `minutes` is below 0"),
        ("minutes = 5", "minute = 5", "stage 1 has an unknown `minute`"),
        ("minutes = 5", 'deal = "roles"', "put {role} into `ask`.*deals roles and has no `roles`"),
        ('title = "Premortem"', "", "has no `title`"),
        ('ask = "What would have saved it?"', "", "stage 2 has no `ask`"),
        ("[[technique]]", "[[method]]", "holds no techniques"),
        ("[[technique]]", "[[technique", "are no TOML"),
    ],
)
def test_mistakes_in_a_techniques_file_are_named(tmp_path: Path, before: str, after: str, said: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(OWN.replace(before, after))
    with pytest.raises(SettingsError, match=said):
        with_own(file)


def test_a_missing_techniques_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml cannot be read"):
        with_own(tmp_path / "none.toml")


def test_the_timer_of_the_step_rests_while_a_technique_runs(desk: Room) -> None:
    session = desk.open("shorter queues", minutes=((Phase.COLLECT, 10.0),), phases=(Phase.COLLECT, Phase.VOTE))
    ann = desk.person("ann")
    desk.sessions.course.begin(session, ann, "scamper", key=desk.key())
    for _ in range(6):  # 28 minutes in all, and the step has ten
        desk.clock.forward(4)
        board = desk.sessions.course.tick(session).board
        assert board.session.technique == "scamper"
    desk.clock.forward(4)
    board = desk.sessions.course.tick(session).board
    assert (board.session.technique, board.session.phase) == ("", Phase.COLLECT)
    desk.clock.forward(3)  # for what came to mind
    assert desk.sessions.course.tick(session).board.session.phase is Phase.VOTE


def test_a_german_session_asks_and_takes_german_questions(desk: Room) -> None:
    session = desk.open("kürzere Schlangen", language="de")
    desk.sessions.course.begin(session, desk.person("ann"), "starbursting", key=desk.key())
    assert task(desk, session, "ann").text.startswith("**Wer?** Schreibt Fragen")
    desk.add(session, "ann", "Wer steht da eigentlich an?")
    with refused("wants_question"):
        desk.add(session, "ann", "Wann ist am meisten los?")
