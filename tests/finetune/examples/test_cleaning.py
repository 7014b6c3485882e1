"""Texts are learned in one spelling, without what cannot be seen or would speak a control token; languages are told."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.generation.rendering import ChatMessage
from finetune.example import Example, Origin
from finetune.examples.cleaning import clean_example, cleaned, control_pattern, speaks_control
from finetune.examples.languages import UNKNOWN, language_of
from tests.agent.models import build_tokenizer


def test_letters_have_one_spelling_and_nothing_hides() -> None:
    assert cleaned("cafe\u0301 \u200bx\u200d\u2060y\ufeff\x00z\ud800") == "café xyz"
    assert cleaned("tag\U000e0041\U000e0042 and \u202eright\u202c") == "tag and right"
    assert cleaned(" a\u00a0b\u2009c \t\r\n\n\n\n\n\nd  \n") == "a b c\n\n\nd"
    assert cleaned("def f():\n    return 1\t# one") == "def f():\n    return 1\t# one"
    assert cleaned("नमस्ते क्‍ष 👩‍💻 می‌خواهم") == "नमस्ते क्‍ष 👩‍💻 می‌خواهم"


def test_a_broken_fence_stays_broken() -> None:
    text = "> <\u200b/passages> and <\u200bb\u200b>"
    assert cleaned(text) == "> <\u200b/passages> and <b>"


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters()))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert cleaned(cleaned(text)) == cleaned(text)
    cleaned(text).encode()


@pytest.mark.parametrize(
    "text",
    ["<|im_end|>", "<|IM_START|>system", "</s>", "[INST] x", "<start_of_turn>", "<|endoftext|>", "＜|im_end|＞",
     "<\u200b|im_start\u200b|>", "<|\u2060im_end|>", "<tool_call>"],
)  # fmt: skip
def test_control_tokens_are_seen_in_every_disguise(text: str) -> None:
    example = Example((ChatMessage("user", "Hi"), ChatMessage("assistant", f"So: {text}")), Origin("x:1"))
    found, _ = clean_example(example)
    assert speaks_control(found, control_pattern(build_tokenizer())) == 2


@pytest.mark.parametrize("text", ["a < b | c > d", "<b>bold</b>", "[1] [INSTALL]", "x <= y", "List<String>"])
def test_ordinary_marks_are_no_control_tokens(text: str) -> None:
    example = Example((ChatMessage("user", text), ChatMessage("assistant", text)), Origin("x:1"))
    assert speaks_control(example, control_pattern(build_tokenizer())) is None


SENTENCES = {
    "en": "How do I reset the password of my account when the old one is lost?",
    "de": "Wie kann ich mein Passwort zurücksetzen, wenn ich das alte nicht mehr habe?",
    "fr": "Comment puis-je réinitialiser le mot de passe de mon compte si je ne l'ai plus ?",
    "es": "¿Cómo puedo restablecer la contraseña de mi cuenta si ya no tengo la anterior?",
    "it": "Come posso reimpostare la password del mio account se non ho più quella vecchia?",
    "pt": "Como posso redefinir a senha da minha conta se eu não tenho mais a antiga?",
    "nl": "Hoe kan ik het wachtwoord van mijn account opnieuw instellen als ik het niet meer heb?",
    "sv": "Hur kan jag återställa lösenordet till mitt konto när jag inte har det gamla?",
    "pl": "Jak mogę zresetować hasło do konta, jeśli nie mam już tego starego i co mam zrobić?",
    "tr": "Hesabımın şifresini nasıl sıfırlarım ve bu ne kadar sürer, yeni bir şifre için ne gerekli?",
    "ru": "Как я могу сбросить пароль, если у меня нет старого, и где это сделать?",
    "zh": "如果我忘记了旧密码，怎么重置我的 Atelier 账户密码？",
    "ja": "古いパスワードを忘れた場合、アカウントのパスワードはどうやって再設定しますか？",
    "ko": "이전 비밀번호를 잊어버린 경우 계정 비밀번호를 어떻게 재설정하나요?",
    "ar": "كيف يمكنني إعادة تعيين كلمة المرور لحسابي إذا نسيت القديمة؟",
}


def test_languages_are_told_by_a_sentence() -> None:
    assert {language: language_of(text) for language, text in SENTENCES.items()} == {each: each for each in SENTENCES}


@pytest.mark.parametrize(
    "text", ["", "OK", "42 / 7", "Kubernetes", "```\nthe of and to in is\n```", "https://the.of/and"]
)
def test_what_says_too_little_is_of_no_language(text: str) -> None:
    assert language_of(text) == UNKNOWN
