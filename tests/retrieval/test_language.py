import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.language import spoken

ENGLISH = [
    "How do I reset my password?",
    "vpn not working",
    "refund",
    "Where's the Q3 budget spreadsheet",
    "what dose the teem plan cots",
    "error E1203",
    "TLS 1.3 handshake",
    "12345",
    "😀",
    "",
]
FOREIGN = [
    "战国无双3是由哪两个公司合作开发的？",
    "パスワードを変更するには",
    "비밀번호를 변경하는 방법",
    "จะเปลี่ยนรหัสผ่านได้อย่างไร",
    "Как сменить пароль?",
    "كيف أغير كلمة المرور؟",
    "पासवर्ड कैसे बदलें",
    "Dlaczego wprowadzane są dodatkowe ograniczenia?",
]


@pytest.mark.parametrize("text", ENGLISH)
def test_an_english_encoder_speaks_english_however_short_or_misspelt(encoder, text):
    assert spoken(text, encoder.pieces(text)) >= 0.75


@pytest.mark.parametrize("text", FOREIGN)
def test_it_does_not_speak_what_it_never_learned(encoder, text):
    assert spoken(text, encoder.pieces(text)) <= 0.1


def test_related_languages_get_part_of_the_vote(encoder):
    text = "Wie lange ist die Inkubationszeit bei einer Infektion mit dem neuartigen Coronavirus?"
    assert 0 < spoken(text, encoder.pieces(text)) < 0.8


def test_one_odd_name_does_not_silence_an_english_question(encoder):
    text = "Who did Kowalczyk replace as head of sales?"
    assert spoken(text, encoder.pieces(text)) >= 0.75


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("这个问题怎么解决", ["▁", "这个", "问题", "怎么", "解决"]),
        ("这个问题", ["这", "个", "问", "题"]),  # a Chinese encoder may read character by character
        ("パスワードを変更", ["▁", "パス", "ワード", "を", "変更"]),
        ("Как сменить пароль?", ["▁Как", "▁сме", "нить", "▁пароль", "?"]),
        ("Wie lange ist die Inkubationszeit", ["▁Wie", "▁lange", "▁ist", "▁die", "▁In", "kuba", "tionszeit"]),
    ],
)
def test_a_multilingual_encoder_speaks_them(text, pieces):
    assert spoken(text, pieces) >= 0.7


@given(st.text(), st.lists(st.text(max_size=6), max_size=20))
def test_always_a_share(text, pieces):
    assert 0 <= spoken(text, pieces) <= 1
