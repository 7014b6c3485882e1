import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.audience import audience_of, check_audience, check_audiences, everyone, tenant_of
from retrieval.errors import SettingsError


def test_a_plain_name_and_a_whole_one_are_the_same_audience():
    assert audience_of("acme", "hr") == audience_of("acme", "acme/hr") == "acme/hr"
    assert everyone("acme") == "acme/everyone"
    assert tenant_of("acme/hr") == "acme"


def test_case_and_unicode_spelling_make_no_difference():
    assert audience_of("ACME", "HR") == "acme/hr"
    assert audience_of("acme", "Caf\u00e9") == audience_of("acme", "Cafe\u0301")
    assert check_audiences(frozenset({"Acme/HR", "acme/hr"})) == {"acme/hr"}


@pytest.mark.parametrize(
    "text", ["", "hr", "/", "acme/", "/hr", "a/b/c", "acme/h r", "acme/h\x00r", "acme/" + "x" * 201]
)
def test_what_is_no_audience_is_refused_with_a_sentence(text):
    with pytest.raises(SettingsError, match=r"\w+ .*\.$"):
        check_audience(text)


def test_another_tenant_s_audience_is_refused():
    with pytest.raises(SettingsError, match="another tenant"):
        audience_of("acme", "rival/hr")


@given(st.text(max_size=30))
def test_whatever_is_written_is_refused_or_has_one_spelling(text):
    try:
        whole = check_audience(text)
    except SettingsError:
        return
    assert check_audience(whole) == whole
    assert whole.count("/") == 1
