"""A session as people hold it: phases, places, ballots; each chat event counts once, and the board is what happened."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine

from agent.ideation.acts import Ballot, Criterion, Phase, RemarkKind
from agent.ideation.board import Board
from agent.ideation.refusals import SessionRefused
from agent.ideation.sessions import Sessions
from agent.ideation.tables import events
from retrieval.database import writing
from tests.agent.ideation.rooms import SLACK, TELEGRAM, Room


def refused(reason: str):
    return pytest.raises(SessionRefused, check=lambda error: error.reason == reason)


def test_a_session_goes_from_a_topic_to_a_decision(room: Room) -> None:
    session = room.open()
    room.sessions.course.reframe(session, ["How might we greet?", "What if nobody was new?"], key=room.key())
    room.sessions.course.choose(session, room.person("ann"), "How might we greet?", key=room.key())
    room.move(session, Phase.COLLECT)
    tea = room.add(session, "bob", "Tea with  the founder")
    tour = room.add(session, "cy", "A tour by the newest colleague")
    room.move(session, Phase.DISCUSS)
    room.sessions.remark(session, room.person("ann"), tea, RemarkKind.PROBLEM, "She travels", key=room.key())
    room.move(session, Phase.VOTE)
    room.sessions.outcome.dot(session, room.person("bob"), tour, 2, key=room.key())
    room.move(session, Phase.DECIDE)
    room.sessions.outcome.decide(session, room.person("ann"), [tour], "Cheap.", key=room.key())
    room.sessions.outcome.act_on(session, room.person("ann"), "Ask Cy", key=room.key(), owner=room.person("cy"))
    board = room.sessions.course.close(session, room.person("ann"), key=room.key()).board
    assert [(each.id, each.text) for each in board.open] == [("1", "Tea with the founder"), ("2", tour_text(board))]
    assert board.session.topic == "How might we greet?"
    assert board.session.asked == "a warmer welcome"
    assert [each.text for each in board.remarks_on(tea)] == ["She travels"]
    assert board.decided == (tour,)
    assert board.actions[0].person == room.person("cy").id
    assert board.session.is_closed
    assert room.sessions.at(SLACK) is None
    with refused("closed"):
        room.add(session, "bob", "Too late")


def tour_text(board: Board) -> str:
    idea = board.idea("2")
    assert idea is not None
    return idea.text


def test_the_same_event_again_does_nothing_and_is_answered_alike(room: Room) -> None:
    first = room.sessions.open(SLACK, room.person("ann"), "tea", key="e1")
    again = room.sessions.open(SLACK, room.person("ann"), "tea", key="e1")
    assert (first.is_new, again.is_new) == (True, False)
    assert again.board == first.board
    session = first.board.session.id
    added = room.sessions.add(session, room.person("bob"), "Mint", key="e2")
    room.add(session, "cy", "Ginger")
    repeated = room.sessions.add(session, room.person("bob"), "Mint", key="e2")
    assert (added.is_new, repeated.is_new) == (True, False)
    assert repeated.idea == added.idea
    assert len(repeated.board.open) == 2


def test_another_process_sees_the_same_board(room: Room, engine: Engine) -> None:
    session = room.open()
    other = Sessions(engine, now=room.clock)
    assert other.board(session).open == ()
    idea = room.add(session, "bob", "Tea")
    assert other.board(session) == room.sessions.board(session)
    other.edit(session, room.person("bob"), idea, "Green tea", key="x")
    assert room.sessions.board(session).open[0].text == "Green tea"


def test_one_session_in_two_places_has_one_board_and_one_ballot(room: Room) -> None:
    session = room.open(dots=3)
    code = room.sessions.board(session).session.code
    joined = room.sessions.join_place(code.lower(), TELEGRAM, room.person("bob"), key=room.key()).board
    assert joined.session.places == (SLACK, TELEGRAM)
    there = room.sessions.at(TELEGRAM)
    assert there is not None
    assert there.session.id == session
    tea, mint = room.add(session, "bob", "Tea"), room.add(session, "cy", "Mint")
    room.move(session, Phase.VOTE)
    bob, phone = room.person("bob"), room.memory.person("telegram:acme:77")
    room.sessions.outcome.dot(session, bob, tea, 3, key=room.key())
    room.sessions.outcome.dot(session, phone, mint, 3, key=room.key())
    assert len(room.sessions.board(session).votes) == 2
    room.memory.people.link(room.memory.people.link_code(bob.id), "telegram:acme:77")  # bob all along
    assert [(each.idea, each.value) for each in room.sessions.board(session).votes] == [(tea, 3)]
    with refused("no_dots"):
        room.sessions.outcome.dot(session, phone, mint, 1, key=room.key())


def test_dots_move_and_never_exceed_their_number(room: Room) -> None:
    session = room.open(dots=3)
    tea, mint = room.add(session, "bob", "Tea"), room.add(session, "cy", "Mint")
    with refused("not_now"):
        room.sessions.outcome.dot(session, room.person("bob"), tea, 1, key=room.key())
    room.move(session, Phase.VOTE)
    bob = room.person("bob")
    room.sessions.outcome.dot(session, bob, tea, 2, key=room.key())
    with refused("no_dots"):
        room.sessions.outcome.dot(session, bob, mint, 2, key=room.key())
    room.sessions.outcome.dot(session, bob, tea, 0, key=room.key())
    board = room.sessions.outcome.dot(session, bob, mint, 3, key=room.key()).board
    assert [(each.idea, each.value) for each in board.votes] == [(mint, 3)]
    with refused("not_ballot"):
        room.sessions.outcome.prefer(session, bob, tea, mint, key=room.key())


def test_votes_by_criteria_are_checked(room: Room) -> None:
    session = room.open(ballot=Ballot.CRITERIA, criteria=(Criterion("Effect", 2), Criterion("Cost")))
    tea = room.add(session, "bob", "Tea")
    room.move(session, Phase.VOTE)
    board = room.sessions.outcome.score(session, room.person("bob"), tea, "effect", 4, key=room.key()).board
    board = room.sessions.outcome.score(session, room.person("bob"), tea, "effect", 5, key=room.key()).board
    assert [(each.criterion, each.value) for each in board.votes] == [("Effect", 5)]
    with refused("no_criterion"):
        room.sessions.outcome.score(session, room.person("bob"), tea, "beauty", 4, key=room.key())
    with refused("bad_score"):
        room.sessions.outcome.score(session, room.person("bob"), tea, "Cost", 9, key=room.key())


def test_blind_ideas_are_seen_by_their_authors_until_they_are_revealed(room: Room) -> None:
    session = room.open(blind=True)
    tea = room.add(session, "bob", "Tea")
    board = room.sessions.board(session)
    assert [each.id for each in board.seen_by(room.person("bob").id)] == [tea]
    assert board.seen_by(room.person("cy").id) == ()
    with refused("hidden"):
        room.sessions.merge(session, room.person("cy"), [tea, tea], key=room.key())
    assert len(room.move(session, Phase.REVEAL).seen_by(room.person("cy").id)) == 1


def test_ideas_are_merged_split_and_withdrawn_with_their_history(room: Room) -> None:
    session = room.open()
    tea, mint = room.add(session, "bob", "Tea"), room.add(session, "cy", "Mint tea and honey")
    machine = room.sessions.add(session, None, "Tea from a robot", key=room.key(), sources=["guide/tea.md"]).idea
    assert machine is not None
    assert (machine.by, machine.share) == ("machine", 1.0)
    merged = room.sessions.merge(session, room.person("ann"), [tea, machine.id], key=room.key(), text="Robot tea").idea
    assert merged is not None
    assert (merged.share, merged.parents, merged.sources) == (0.5, (tea, machine.id), ("guide/tea.md",))
    assert merged.authors == (room.person("bob").id,)
    parts = room.sessions.split(session, room.person("cy"), mint, ["Mint tea", "Honey"], key=room.key()).board
    assert [each.text for each in parts.open] == ["Robot tea", "Mint tea", "Honey"]
    with refused("not_yours"):
        room.sessions.withdraw(session, room.person("bob"), parts.open[1].id, key=room.key())
    gone = room.sessions.withdraw(session, room.person("cy"), parts.open[1].id, key=room.key()).board
    assert [each.text for each in gone.open] == ["Robot tea", "Honey"]
    with refused("no_idea"):
        room.sessions.tag(session, room.person("bob"), mint, "warm", key=room.key())


def test_a_merged_idea_says_what_others_said_once_its_first_message_is_deleted(room: Room) -> None:
    session, ledger = room.open(), room.sessions.ledger
    tea = room.sessions.add(session, room.person("bob"), "Tea at Bob's", key="first").idea
    juice = room.sessions.add(session, room.person("bob"), "Juice", key="alone").idea
    assert tea is not None
    assert juice is not None
    mint, lemon = room.add(session, "cy", "Mint tea"), room.add(session, "cy", "Lemon tea")
    once = room.sessions.merge(session, room.person("ann"), [tea.id, mint], key=room.key()).idea
    assert once is not None
    twice = room.sessions.merge(session, room.person("ann"), [once.id, lemon], key=room.key()).idea
    named = room.sessions.merge(session, room.person("ann"), [twice.id, juice.id], key=room.key(), text="Drinks").idea
    assert (twice.text, named.text) == ("Tea at Bob's", "Drinks")
    assert ledger.empty("acme", ["first"]) == (session,)
    board = room.sessions.board(session)
    assert (board.idea(once.id).text, board.idea(twice.id).text) == ("Mint tea", "Mint tea")
    assert board.idea(named.id).text == "Drinks"
    assert not any("Bob's" in str(each.act) for each in room.sessions.events(session))
    assert ledger.empty("acme", ["alone"]) == ()
    assert not any("Juice" in str(each.act) for each in room.sessions.events(session))
    assert ledger.empty("other", ["first"]) == ()


def test_only_who_facilitates_moves_and_a_schedule_does_too(room: Room) -> None:
    session = room.open(minutes=((Phase.COLLECT, 10.0),), phases=(Phase.COLLECT, Phase.VOTE, Phase.CLOSED))
    with refused("not_facilitator"):
        room.sessions.course.move(session, room.person("bob"), key=room.key())
    assert not room.sessions.course.tick(session).is_new
    room.clock.forward(9)
    room.sessions.course.prolong(session, room.person("ann"), 5, key=room.key())
    room.clock.forward(2)
    assert room.sessions.course.tick(session).board.session.phase is Phase.COLLECT
    room.clock.forward(10)
    assert room.sessions.course.tick(session).board.session.phase is Phase.VOTE
    assert not room.sessions.course.tick(session).is_new
    room.sessions.enter(session, room.person("bob"), key=room.key())
    room.sessions.course.hand_over(session, room.person("ann"), room.person("bob"), key=room.key())
    assert room.sessions.course.close(session, room.person("bob"), key=room.key()).board.session.is_closed


def test_a_place_holds_one_session_at_a_time(room: Room) -> None:
    session = room.open()
    with refused("runs_already"):
        room.open()
    room.sessions.course.close(session, room.person("ann"), key=room.key())
    assert room.open() != session


def test_what_is_no_idea_is_refused_with_a_sentence(room: Room) -> None:
    session = room.open()
    with refused("empty"):
        room.add(session, "bob", " ?! ")
    with pytest.raises(SessionRefused, match="shorten it"):
        room.add(session, "bob", "long " * 400)
    with refused("bad_rules"):
        room.open(dots=0)


def test_people_who_write_at_once_are_all_heard_once(room: Room) -> None:
    """Eight people, each of whose messages comes twice, as platforms send them."""
    session = room.open()
    people = [room.person(f"p{i}") for i in range(8)]

    def write(i: int) -> None:
        for _ in range(2):
            for number in range(3):
                room.sessions.add(session, people[i], f"Idea {number} of {i}", key=f"{i}/{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    board = room.sessions.board(session)
    assert sorted(int(each.id) for each in board.open) == list(range(1, 25))
    assert len({each.text for each in board.open}) == 24
    assert {each.person for each in board.session.members} == {room.person("ann").id, *(each.id for each in people)}


def test_a_round_that_two_complete_at_once_goes_on_once(room: Room) -> None:
    session = room.open()
    room.sessions.enter(session, room.person("bob"), key=room.key())
    room.sessions.course.begin(session, room.person("ann"), "brainwriting", key=room.key())
    for name in ("ann", "bob"):
        for number in range(2):
            room.add(session, name, f"{name} {number}")
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: room.add(session, name, f"{name} at last"), ("ann", "bob")))
    assert room.sessions.board(session).session.stage == 1


def test_what_a_newer_version_wrote_is_passed_over(room: Room, engine: Engine) -> None:
    session = room.open()
    room.add(session, "bob", "Tea")
    with writing(engine) as connection:
        later = {"kind": "Sung", "body": {"melody": "la"}}
        connection.execute(events.update().where(events.c.kind == "Entered").values(later))
    assert [each.text for each in Sessions(engine, now=room.clock).board(session).open] == ["Tea"]
