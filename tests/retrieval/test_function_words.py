import numpy as np
import pytest

from retrieval.function_words import LESS, function_words
from retrieval.tokens import words
from retrieval.words import WordIndex


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Wie lange darf ich im Urlaub bleiben?", "wie darf ich im"),
        ("quando posso andare in vacanza con la famiglia", "quando posso in con la"),
        ("was kostet das", "was das"),
        ("what was the war about", ""),  # English, though two of its words are German
        ("man of war", ""),
        ("die casting temperature", ""),  # one word tells no language
        ("wer ist das", ""),  # nothing else is asked
        ("\u600e\u4e48\u9000\u6b3e", ""),
        ("", ""),
    ],
)
def test_function_words_are_those_of_the_query_s_language(query, expected):
    assert function_words(words(query)) == frozenset(expected.split())


def test_a_passage_about_the_subject_comes_before_one_of_the_same_small_words(monkeypatch):
    index = WordIndex()
    passages = [
        "Im Sommer darf jeder grillen und zelten.",
        "Urlaub: drei\u00dfig Tage Urlaub im Jahr.",
        "Die Kantine ist offen.",
    ]
    index.add(np.arange(3), passages)
    query = "wie viel Urlaub darf ich haben und wann"
    assert index.search(query, 1)[1].tolist() == [1]
    monkeypatch.setattr("retrieval.words.LESS", 1)
    assert index.search(query, 1)[1].tolist() == [0]


def test_a_function_word_keeps_a_part_of_its_weight_also_where_no_passage_has_it():
    index = WordIndex()
    index.add(np.arange(2), ["ich habe Urlaub", "Urlaub"])
    with_two = index.parse("ich habe Urlaub", index.snapshot)
    alone = index.parse("ich Urlaub", index.snapshot)  # one function word: no language is told
    assert with_two.idf[0] == pytest.approx(LESS * alone.idf[0])
    assert with_two.idf[2] == alone.idf[1]
    unheard = index.parse("kann man Urlaub", index.snapshot)
    assert unheard.unknown < index.parse("zebra giraffe Urlaub", index.snapshot).unknown
