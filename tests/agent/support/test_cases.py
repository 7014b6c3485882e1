"""Cases in the store: every legal step once, no other one, and nothing left of who is forgotten."""

from pathlib import Path

import pytest
from sqlalchemy import Engine

from agent.memory import Memory
from agent.message import Place
from agent.moving import move
from agent.support.audit import Audit
from agent.support.cases import Case, Cases, Kind, Opening, Step
from connectors.privacy import copy_of
from tests.agent.test_memory import everything_stored

ASKED, DESK = Place("slack", "acme", "D1"), Place("telegram", "acme", "-5")
ANN, MARA, MAX = "slack:acme:U1", "telegram:acme:7", "telegram:acme:8"
SECRET = "My daughter Hedwig starts school in Ravensburg."


class Town:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.cases, self.memory = engine, Cases(engine), Memory(engine)
        self.ann, self.mara, self.max = (self.memory.person(each).id for each in (ANN, MARA, MAX))

    def opens(self, origin: str = "one", place: Place = ASKED) -> Case:
        opening = Opening(origin, "request", self.ann, ANN, place, True, "en", "t1", DESK, SECRET)
        return self.cases.open(opening)

    def does(self, kind: Kind, number: int, key: str, by: str = MARA) -> str:
        person = {ANN: self.ann, MARA: self.mara, MAX: self.max}[by]
        made = self.cases.step(number, kind, person, by, key)
        assert made is not None
        return f"{'made' if isinstance(made, Step) else 'not'} {(made.case if isinstance(made, Step) else made).state}"


@pytest.fixture
def town(engine: Engine) -> Town:
    return Town(engine)


def test_a_case_goes_its_way_and_what_comes_again_is_done_once(town: Town) -> None:
    case = town.opens()
    assert town.opens().number == case.number
    assert (case.state, case.place, case.desk, case.asker) == ("open", ASKED, DESK, town.ann)
    assert town.cases.held(ASKED) is None
    assert town.does(Kind.CLAIMED, case.number, "k1") == "made claimed"
    assert town.does(Kind.CLAIMED, case.number, "k2", MAX) == "not claimed"
    held = town.cases.held(ASKED)
    assert held is not None
    assert (held.owner, held.owner_account) == (town.mara, MARA)
    assert town.does(Kind.RETURNED, case.number, "k3") == "made open"
    assert town.does(Kind.RETURNED, case.number, "k4") == "not open"
    assert town.does(Kind.CLAIMED, case.number, "k1") == "made open"  # the first press, again after a crash
    assert town.does(Kind.RESOLVED, case.number, "k5", MAX) == "made resolved"
    assert town.does(Kind.WITHDRAWN, case.number, "k6", ANN) == "not resolved"
    assert town.does(Kind.CLAIMED, case.number, "k7") == "not resolved"
    assert not town.cases.rate(case.number, town.mara, 1, "r1")
    assert town.cases.rate(case.number, town.ann, -1, "r2")
    kinds = [line.kind for line in town.cases.lines(case.number)]
    assert kinds == ["opened", "claimed", "returned", "resolved", "rated"]
    assert town.cases.step(99, Kind.CLAIMED, town.mara, MARA, "k8") is None
    assert town.cases.listed("acme", is_live=True) == []
    assert [each.rating for each in town.cases.listed("acme")] == [-1]
    assert town.cases.listed("other") == []


def test_words_are_kept_once_for_each_event_and_found_by_their_message(town: Town) -> None:
    case = town.opens()
    line = town.cases.write(case.number, Kind.ASKED, town.ann, "Hello?", "m1", "telegram/acme/x")
    assert town.cases.write(case.number, Kind.ASKED, town.ann, "Hello?", "m1") == line
    assert [each.text for each in town.cases.lines(case.number)] == [SECRET, "Hello?"]
    found = town.cases.shown_as("telegram/acme/x")
    assert found is not None
    assert found.number == case.number
    assert town.cases.shown_as("telegram/acme/y") is None
    assert town.cases.at_desk(DESK) is None  # no thread


def test_who_is_forgotten_leaves_nothing_and_a_case_without_them(town: Town, tmp_path: Path) -> None:
    case = town.opens()
    town.does(Kind.CLAIMED, case.number, "k1")
    town.cases.write(case.number, Kind.ANSWERED, town.mara, f"You wrote: {SECRET}", "m1")
    Audit(town.engine).note("a1", ANN, "member", "rule", SECRET, "refused", "slack/acme/D1/")
    copy = copy_of(town.memory.people.person(ANN), town.memory, tmp_path)
    assert [(each["case"], each["said_and_done"][0][2]) for each in copy["cases"]] == [(case.number, SECRET)]
    assert [each["verb"] for each in copy["acts"]] == ["rule"]
    assert town.memory.forget(town.ann).cases == 1
    stored = everything_stored(town.engine)
    for trace in (SECRET, town.ann, ANN, "U1", "D1"):
        assert trace not in stored
    (left,) = town.cases.listed("acme")
    assert (left.state, left.asker, left.reason) == ("withdrawn", "", "request")


def test_an_agent_who_is_forgotten_gives_their_cases_back(town: Town) -> None:
    case = town.opens()
    town.does(Kind.CLAIMED, case.number, "k1")
    town.cases.write(case.number, Kind.ANSWERED, town.mara, "Mara's very own words.", "m1")
    assert town.memory.forget(town.mara).cases == 0
    stored = everything_stored(town.engine)
    assert "Mara's very own words." not in stored
    assert town.mara not in stored
    (left,) = town.cases.listed("acme")
    assert (left.state, left.owner, left.owner_account, left.asker) == ("open", "", "", town.ann)


def test_linked_accounts_keep_their_case_and_a_group_that_moves_keeps_its_desk(town: Town) -> None:
    case = town.opens()
    code = town.memory.people.link_code(town.max)
    town.memory.people.link(code, ANN)
    moved = Place("telegram", "acme", "-100777")
    move(town.engine, DESK, moved)
    found = town.cases.get(case.number)
    assert found is not None
    assert (found.asker, found.desk) == (town.max, moved)
    assert town.cases.live(ASKED, town.max) == found


def test_whoever_is_not_known_any_more_takes_no_case(town: Town) -> None:
    case = town.opens()
    town.memory.forget(town.mara)
    assert town.does(Kind.CLAIMED, case.number, "k1") == "not open"


def test_the_log_keeps_each_act_once_the_latest_last(engine: Engine) -> None:
    audit = Audit(engine)
    for number in (1, 2, 2, 3):
        audit.note(f"k{number}", ANN, "administrator", "rule", f"{number}", "done", "slack/acme/C1/")
    assert [(act.object, act.account) for act in audit.acts()] == [(str(each), "slack:U1") for each in (1, 2, 3)]
    assert [act.object for act in audit.acts(limit=1)] == ["3"]


def test_turns_of_others_are_not_the_askers(town: Town) -> None:
    """What led to a case is found by its asker, not by its place."""
    case = town.opens()
    assert town.cases.last_turn(ASKED, town.ann) == case.turn
    assert town.cases.last_turn(ASKED, town.mara) == ""
    assert town.cases.live(ASKED, town.mara) is None
