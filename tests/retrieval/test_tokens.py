from hypothesis import given
from hypothesis import strategies as st

from retrieval.tokens import fold, is_unspaced, words


def test_words_are_lower_case_runs_of_letters_and_digits():
    assert words("Reset the XK-1200, please!") == ["reset", "the", "xk", "1200", "please"]
    assert words("snake_case and CamelCase") == ["snake", "case", "and", "camelcase"]
    assert words(" \n\t ") == []


def test_plurals_find_singulars_and_words_that_only_look_plural_stay():
    assert words("companies invoices keys") == ["company", "invoice", "key"]
    assert words("gas bus glass status") == ["gas", "bus", "glass", "status"]


def test_accents_case_and_width_do_not_matter():
    assert words("Müller CAFÉ Straße") == words("muller cafe STRASSE")
    assert words("ＡＢＣ１２３") == ["abc123"]
    assert words("ёлка") == words("ЕЛКА")


def test_thousands_separators_are_part_of_a_number_and_other_commas_are_not():
    assert words("1,000,000 people") == ["1000000", "people"]
    assert words("1,2 and 3,4567") == ["1", "2", "and", "3", "4567"]


def test_chinese_is_cut_into_characters_and_pairs():
    assert words("退款吗") == ["退", "退款", "款", "款吗", "吗"]
    assert words("用FAISS检索") == ["用", "faiss", "检", "检索", "索"]


def test_scripts_without_spaces_are_cut_into_pairs():
    assert words("カメラ") == ["カメ", "メラ"]
    assert words("비밀번호") == ["비밀", "밀번", "번호"]
    assert set(words("รหัสผ่าน")) & set(words("เปลี่ยนรหัสผ่าน"))


def test_vowel_signs_do_not_shred_words():
    assert words("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


def test_vowel_points_that_writers_leave_out_do_not_matter():
    assert words("كِتَاب") == words("كتاب")


def test_unspaced_scripts_are_recognised():
    assert is_unspaced("说 hello")
    assert not is_unspaced("naïve")


@given(st.text())
def test_any_text_gives_clean_words(text):
    found = words(text)
    assert all(word and not any(map(str.isspace, word)) for word in found)


@given(st.text(st.characters(codec="ascii")))
def test_case_never_matters_in_english(text):
    assert words(text.upper()) == words(text.lower())


@given(st.text())
def test_folding_is_stable(text):
    assert fold(fold(text)) == fold(text)
