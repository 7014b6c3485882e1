"""What of a page answers a question: no question of its own, a field by its name."""

import pytest

from agent.generation.extractive import ExtractiveGenerator
from agent.generation.phrases import phrase
from retrieval.passage import Passage
from tests.agent.prompts import prompt


@pytest.fixture(scope="module")
def ask(encoder):
    generator = ExtractiveGenerator(encoder)

    def asked(question: str, heading: str, text: str) -> str:
        page = Passage(0, text, "page.md", heading, None, 1, "t/everyone", 0.5, 0.65)
        return generator.reply(prompt(question, (page,)))

    return asked


def test_a_question_in_a_document_answers_nothing_but_what_stands_behind_it_does(ask):
    notes = "Can I bring a dog? Yes, on Fridays.\n\nOpen: who pays for the party? when is it?"
    assert ask("can I bring a dog?", "All-hands", notes).startswith("Can I bring a dog? Yes, on Fridays. [1]")
    assert ask("who pays for the party?", "All-hands", notes).startswith(phrase("answer", "unsure"))
    listed = "What do I bring for the badge?\n\n- a photo\n- the form"
    assert "- the form" in ask("what do I bring for the badge?", "All-hands", listed)


def test_a_field_answers_what_its_name_asks_for_and_of_nobody_else(ask):
    sheet = "Hours: Mon-Fri 9-17\nPhone: +49 30 1234\nE-mail: help@acme.example\nEscalations: Joana Reis"
    assert ask("what is the phone number of support?", "Billing support", sheet) == "Phone: +49 30 1234 [1]"
    assert ask("what's the email of support?", "Billing support", sheet).startswith("E-mail: help@acme.example [1]")
    assert not ask("what is the phone number of Joana?", "Billing support", sheet).startswith("Phone")
    assert not ask("what is the fax number of support?", "Billing support", sheet).startswith(("Phone", "E-mail"))
