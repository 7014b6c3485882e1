"""Near-repetitions are found, what belongs together stays on one side of the split, nobody has more than a share."""

import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.examples.problems import Code
from finetune.examples.repeats import Repeats
from finetune.examples.shares import above_share
from finetune.examples.similar import Similar, plain, signature, similarity
from finetune.examples.splitting import FEW, halves, split

WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()
)


def example(question: str, answer: str = "An answer.", rating: int = 0, **origin: object) -> Example:
    messages = (ChatMessage("user", question), ChatMessage("assistant", answer))
    return Example(messages, Origin(**({"place": question} | origin)), rating)


def sentence(rng: random.Random, words: int) -> str:
    return " ".join(rng.choices(WORDS, k=words))


def jaccard(one: str, other: str) -> float:
    shingles = [{f" {text} "[i : i + 5] for i in range(len(text) - 2)} for text in (one, other)]
    return len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])


def test_the_estimate_is_near_the_true_similarity() -> None:
    rng, errors = random.Random(3), []
    for _ in range(150):
        words = sentence(rng, 40).split()
        changed = [rng.choice(WORDS) if rng.random() < 0.2 * rng.random() else word for word in words]
        one, other = " ".join(words), " ".join(changed)
        errors.append(similarity(signature(one), signature(other)) - jaccard(one, other))
    assert abs(float(np.mean(errors))) < 0.02
    assert float(np.sqrt(np.mean(np.square(errors)))) < 0.07  # 64 hashes: at most 0.0625


def test_nearly_equal_texts_are_found_among_others() -> None:
    rng, found = random.Random(5), Similar(0.7)
    texts = [sentence(rng, 30) for _ in range(300)]
    for key, text in enumerate(texts):
        found.add(key, signature(text))
    changed = [text + "!" for text in texts]
    hits = [found.find(signature(text)) for text in changed]
    assert [matches[0].key for matches in hits] == list(range(300))
    strangers = [sentence(rng, 30).upper()[::-1] for _ in range(300)]
    assert not any(found.find(signature(text)) for text in strangers)


@pytest.mark.parametrize("text", ["", "a", "\ud800", "名前は何ですか", "x" * 40_000])
def test_any_text_has_a_signature(text: str) -> None:
    assert similarity(signature(text), signature(text)) == 1.0


def test_compatible_letters_and_case_do_not_tell_texts_apart() -> None:
    assert plain("Ｈello\n  WORLD ﬁne") == plain("hello world fine")


LONG = "The service desk answers from eight in the morning until six in the evening on every working day of the week."


def test_repetitions_are_told_from_other_answers_and_other_ratings() -> None:
    repeats = Repeats()

    def refusal(each: Example, *, held: bool = False) -> Code | None:
        found = repeats.refusal(each, is_held_out=held)
        return found[0] if found else None

    assert refusal(example("When does the desk answer?", LONG, 1)) is None
    assert refusal(example("when does the  DESK answer?", LONG.upper(), 1)) is Code.DUPLICATE
    assert refusal(example("When does the desk answer??", LONG + "..", 1)) is Code.NEAR_DUPLICATE
    assert refusal(example("When does the desk answer?", LONG, -1)) is Code.CONTRADICTION
    assert refusal(example("When does the desk answer?", "I do not know.", -1)) is None  # a pair for DPO
    assert repeats.links == [(0, 1)]
    assert refusal(example("Where do I park a bicycle?", LONG, 1), held=True) is None
    assert refusal(example("Where do I park a bicycle??", LONG + "!", 1)) is Code.OVERLAP


def test_the_same_refusal_to_other_questions_is_no_repetition() -> None:
    repeats = Repeats()
    for question in ("How many days of leave do I have?", "Where is the printer?", "Who is the chair of the board?"):
        assert (
            repeats.refusal(example(question, "The documents I was given do not answer that."), is_held_out=False)
            is None
        )


def sides(examples: list[Example], held_out: tuple[bool, ...]) -> dict[str, bool]:
    return {each.messages[0].content: held for each, held in zip(examples, held_out, strict=True)}


def test_what_belongs_together_stays_on_one_side() -> None:
    examples = [
        example(f"question {i}", person=f"p{i % 40}", conversation=f"c{i % 80}", documents=(f"d{i % 40}.md", "all.md"))
        for i in range(400)
    ]
    links = [(i, i + 40) for i in range(0, 40, 2)]
    parts = split(examples, links, 0.2, seed=1)
    for tie in ("person", "conversation"):
        by_side = {(getattr(each.origin, tie), held) for each, held in zip(examples, parts.held_out, strict=True)}
        assert len(by_side) == len({value for value, _ in by_side}), tie
    assert all(parts.held_out[i] == parts.held_out[j] for i, j in links)
    assert 0.1 <= sum(parts.held_out) / 400 <= 0.4
    assert parts.sentence == "No near-repetition, conversation, document or person stands on both sides."


def test_rows_that_come_later_move_nobody() -> None:
    examples = [example(f"question {i}", conversation=f"c{i // 3}") for i in range(300)]
    before = sides(examples[:200], split(examples[:200], [], 0.2, seed=7).held_out)
    after = sides(examples, split(examples, [], 0.2, seed=7).held_out)
    assert {name: after[name] for name in before} == before
    assert after != sides(examples, split(examples, [], 0.2, seed=8).held_out)


def test_a_team_of_two_is_split_all_the_same_and_it_is_said() -> None:
    examples = [example(f"question {i}", person=f"p{i % 2}", conversation=f"c{i}") for i in range(40)]
    parts = split(examples, [], 0.1, seed=0)
    assert 2 <= sum(parts.held_out) <= 8
    assert parts.sentence == (
        "No near-repetition, conversation or document stands on both sides. Kept apart by person too, no fair share "
        "could have been held out."
    )


@pytest.mark.parametrize("count", [2, 3, 5, 9])
def test_few_rows_have_one_held_out(count: int) -> None:
    parts = split([example(f"question {i}") for i in range(count)], [], 0.1, seed=0)
    assert sum(parts.held_out) == 1


def test_what_chose_the_best_step_does_not_judge_it() -> None:
    held_out = [example(f"Question {i}?", conversation=f"talk {i // 2}") for i in range(4 * FEW)]
    choosing, judging = halves(held_out, seed=0)
    assert sorted(each.messages[0].content for each in [*choosing, *judging]) == sorted(
        each.messages[0].content for each in held_out
    )
    assert min(len(choosing), len(judging)) >= FEW
    assert not {each.origin.conversation for each in choosing} & {each.origin.conversation for each in judging}


@pytest.mark.parametrize("count", [0, 1, 2, 2 * FEW - 1])
def test_too_few_to_halve_do_both(count: int) -> None:
    held_out = [example(f"Question {i}?") for i in range(count)]
    assert halves(held_out, seed=0) == (held_out, held_out)


def test_rows_that_all_repeat_each_other_cannot_be_split() -> None:
    assert not any(split([example(f"q{i}") for i in range(5)], [(0, i) for i in range(1, 5)], 0.2, seed=0).held_out)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from("abcdefgh "), max_size=60), st.floats(0.05, 1.0))
def test_nobody_has_more_than_their_share(letters: list[str], share: float) -> None:
    examples = [example(f"q{i}", person=letter.strip()) for i, letter in enumerate(letters)]
    gone, held = above_share(examples, share, seed=0)
    kept = Counter(each.origin.person for i, each in enumerate(examples) if i not in gone)
    total = sum(kept.values())
    for person, count in kept.items():
        if person:
            assert count <= held * total + 1e-6
    if not any(each.origin.person == "" for each in examples) and examples:
        assert total >= len({each.origin.person for each in examples})  # everybody keeps something
    assert kept[""] == letters.count(" ")


def test_thirty_of_a_hundred_rows_by_one_author_become_a_fifth() -> None:
    examples = [example(f"q{i}", person="loud" if i < 30 else f"p{i}") for i in range(100)]
    gone, _ = above_share(examples, 0.2, seed=0)
    assert len(gone) == 13  # 17 of 87 are below a fifth, 18 of 88 are not
    assert gone <= set(range(30))
    later = [*examples, *(example(f"r{i}") for i in range(5))]
    assert above_share(later, 0.2, seed=0)[0] <= gone  # more room, and the same draw
