"""People are shown past ideas that they may like, with the reason; what they know already is not shown again."""

from dataclasses import replace
from datetime import UTC, datetime

from agent.ideation.acts import Ballot, RemarkKind, Rules
from agent.ideation.board import Board, Idea, Remark, Session, Vote
from agent.ideation.recommend import Interest, Item, interests_of, items_of, recommend, related
from finetune.recommender import fit, recommended
from retrieval.encoder import TransformerEncoder
from tests.benchmarks import bench_ideation, bench_ideation_speed, bench_recommender
from tests.benchmarks.bench_ideation import own_topics

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TEXTS = {each["text"]: each["intent"] for each in own_topics()}
ITEMS = tuple(Item(f"s/{i}", text) for i, text in enumerate(TEXTS))
OF = {topic: [each for each in ITEMS if TEXTS[each.text] == topic] for topic in TEXTS.values()}


def test_what_people_alike_like_is_recommended_and_the_reason_named(encoder: TransformerEncoder) -> None:
    """Who likes coffee likes bicycles here, which no word would tell."""
    interests = [
        Interest(f"p{i}", each.id, "voted") for i in range(8) for each in (*OF["coffee"][:3], *OF["bikes"][:4])
    ]
    interests += [Interest(f"q{i}", each.id, "voted") for i in range(8) for each in (*OF["books"], *OF["music"])]
    mine = [Interest("me", each.id, "wrote") for each in OF["coffee"][:2]]
    model = fit(ITEMS, [*interests, *mine], encoder([each.text for each in ITEMS]))
    found = recommend(model, {each.id: each for each in ITEMS}, mine, "me", count=5)
    assert {TEXTS[each.item.text] for each in found} <= {"coffee", "bikes"}
    assert any(TEXTS[each.item.text] == "bikes" for each in found)
    assert {each.because.id for each in found} <= {each.item for each in mine}
    assert found[0].reason.startswith("you wrote “")
    without = recommend(model, {each.id: each for each in ITEMS}, mine, "me", leave_out={found[0].item.id})
    assert found[0].item not in {each.item for each in without}


def test_ideas_of_past_sessions_are_recommended_with_one_fit(encoder: TransformerEncoder) -> None:
    past = Board(Session("past", "t", "C"), tuple(Idea(str(i), t, NOW, ("q",)) for i, t in enumerate(TEXTS)))
    running = Board(Session("now", "t", "D"), (Idea("1", "An espresso for each guest", NOW, ("me",)),))
    found = recommended([past, running], "me", encoder, leave_out={"now"}, count=3)
    assert found[0].item.id.startswith("past/")
    assert TEXTS[found[0].item.text] == "coffee"
    assert found[0].because.id == "now/1"


def test_a_new_idea_and_a_new_team_are_served_by_their_words(encoder: TransformerEncoder) -> None:
    vectors = encoder([each.text for each in ITEMS])
    mine = [Interest("me", OF["coffee"][0].id, "pressed")]
    model = fit(ITEMS, mine, vectors)
    found = recommend(model, {each.id: each for each in ITEMS}, mine, "me", count=2)
    assert {TEXTS[each.item.text] for each in found} == {"coffee"}
    assert found[0].reason == f"you looked at “{OF['coffee'][0].text}”"
    assert recommend(model, {each.id: each for each in ITEMS}, mine, "nobody") == ()
    ids = [each.id for each in ITEMS]
    near = related(encoder(["a latte and an espresso machine"])[0], ids, vectors, 2)
    assert {TEXTS[next(each.text for each in ITEMS if each.id == item)] for item in near} == {"coffee"}
    assert fit((), (), vectors[:0]).ids == ()


def test_interests_are_read_off_boards_and_hidden_ideas_are_nobody_elses() -> None:
    session = Session("s", "t", "C", rules=Rules(ballot=Ballot.DOTS))
    ideas = (Idea("1", "tea", NOW, ("p",)), Idea("2", "cake", NOW, ("q",)), Idea("3", "pie", NOW, ("q",)))
    votes, remarks = (Vote("p", Ballot.DOTS, "2", 2),), (Remark("2", RemarkKind.GOOD, "yes", "p", NOW),)
    board = Board(session, ideas, remarks, votes, presses=(("p", "3"), ("p", "1")))
    told = {(each.person, each.item): each.how for each in interests_of([board])}
    assert told == {
        ("p", "s/1"): "wrote",
        ("q", "s/2"): "wrote",
        ("q", "s/3"): "wrote",
        ("p", "s/2"): "voted",
        ("p", "s/3"): "pressed",
    }
    assert len(items_of([board])) == 3
    blind = replace(board, session=replace(session, rules=Rules(blind=True)))
    assert items_of([blind]) == ()


def test_the_benchmarks_run_without_the_shared_data(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(bench_ideation, "DATA", tmp_path / "none")
    monkeypatch.setattr(bench_recommender, "DATA", tmp_path / "none")
    groups = bench_ideation.run(quick=True)
    assert {"Atelier", "HDBSCAN on embeddings", "k-means on TF-IDF"} <= {each["method"] for each in groups.rows}
    assert all(each["ms"] > 0 for each in bench_ideation_speed.run(quick=True).rows)
    people = bench_recommender.run(quick=True)
    assert {each["asked"] for each in people.rows} == {"known ideas", "new ideas"}
