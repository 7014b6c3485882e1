"""Settings come from the right place, wrong ones are refused with a sentence, and secrets stay unseen."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.settings import Settings, documented_toml, find_settings_file, load_settings, settings_table
from retrieval.errors import SettingsError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without settings, and an environment without ours."""
    monkeypatch.chdir(tmp_path)
    for name in [*(f"ATELIER_{field.upper()}" for field in Settings.model_fields), "ATELIER_SETTINGS"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    return tmp_path


def write(text: str, name: str = "atelier.toml") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def refusal(text: str) -> str:
    write(text)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    return str(caught.value)


def test_without_anything_the_defaults_work(alone: Path) -> None:
    settings = load_settings()
    assert settings.home == alone / "user/.atelier"
    assert settings.store_url == f"sqlite:///{alone}/user/.atelier/store.db"
    assert settings.generator == "starter"
    assert settings.audiences == ("local/everyone",)


def test_arguments_win_over_the_environment_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    write("passages = 3\nqueue = 3\ntop_p = 0.3")
    monkeypatch.setenv("ATELIER_QUEUE", "4")
    monkeypatch.setenv("ATELIER_TOP_P", "0.4")
    settings = load_settings(top_p=0.5, temperature=None)
    assert (settings.passages, settings.queue, settings.top_p, settings.temperature) == (3, 4, 0.5, 0.7)


def test_the_file_is_looked_for_in_order(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_settings_file() is None
    at_home = write("queue = 1", "elsewhere/atelier.toml")
    monkeypatch.setenv("ATELIER_HOME", str(alone / "elsewhere"))
    assert find_settings_file() == alone / at_home
    write("queue = 2")
    assert load_settings().queue == 2
    monkeypatch.setenv("ATELIER_SETTINGS", str(write("queue = 3", "third.toml")))
    assert load_settings().queue == 3
    assert load_settings(write("queue = 4", "fourth.toml")).queue == 4
    with pytest.raises(SettingsError, match=r"There is no settings file missing\.toml"):
        load_settings("missing.toml")


def test_paths_in_the_file_are_relative_to_it(alone: Path) -> None:
    (alone / "conf/models/tiny").mkdir(parents=True)
    file = write(
        'home = "data"\nmodel = "models/tiny"\nencoder = "some/hub-name"\nstore = "sqlite:///my.db"\n'
        'adapter = "formal"\n[adapters]\nformal = "../adapters/formal"\n',
        "conf/atelier.toml",
    )
    settings = load_settings(file)
    assert settings.home == alone / "conf/data"
    assert settings.model == str(alone / "conf/models/tiny")
    assert settings.encoder == "some/hub-name"
    assert settings.store_url == f"sqlite:///{alone}/conf/my.db"
    assert settings.adapters == {"formal": alone / "adapters/formal"}


def test_lists_and_tables_in_the_environment(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_ALLOWED_LINKS", "docs.example.com, example.org")
    monkeypatch.setenv("ATELIER_AUDIENCES", "HR")
    monkeypatch.setenv("ATELIER_TENANT", "Acme")
    monkeypatch.setenv("ATELIER_ADAPTERS", "formal=a/b,short=/c")
    settings = load_settings()
    assert settings.allowed_links == ("docs.example.com", "example.org")
    assert settings.audiences == ("acme/everyone", "acme/hr")
    assert settings.adapters == {"formal": alone / "a/b", "short": Path("/c")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "queue = 1\n\ntemprature = 0.5",
            ['Unknown setting "temprature" in atelier.toml line 3.', 'mean "temperature"?'],
        ),
        ("[generation]\nmodel = 1", ['Unknown setting "generation" in atelier.toml line 1.']),
        ("temperature = 5.0", ['"temperature" in atelier.toml line 1 cannot be 5.0.', "a number from 0 up to 2."]),
        ("temperature = nan", ['"temperature"', "cannot be nan"]),
        ('passages = "many"', ['"passages" in atelier.toml line 1 cannot be many.', "a whole number from 1 up to 50."]),
        ("passages = 2.5", ["cannot be 2.5", "a whole number"]),
        ("passages = true", ["cannot be True", "a whole number"]),
        ("persona = 7", ['"persona"', "Allowed: text."]),
        ('generator = "gpt"', ["cannot be gpt", '"extractive" or "starter" or "local" or "remote"']),
        ('device = "gpu"', ["cannot be gpu", "cpu, cuda, cuda:1 or mps"]),
        ('tenant = "a b"', ['"tenant"', "holds a space"]),
        ('audiences = ["other/hr"]', ["belongs to another tenant"]),
        ('adapters = "formal"', ['"adapters"', "a table of names and folders"]),
        ('generator = "local"', ["needs a model", "`model`"]),
        ('generator = "remote"', ["`remote_url` and `remote_model`"]),
        ('adapter = "formal"', ['adapter = "formal" is not among `adapters` (there: none)']),
        ('remote_url = "localhost:8000"', ["http://localhost:8000/v1"]),
        ("queue = 1\nqueue = = 2", ["is not written as TOML", "line 2"]),
    ],
)
def test_a_wrong_setting_is_refused_with_a_sentence(text: str, words: list[str]) -> None:
    message = refusal(text)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_files_that_are_no_text(alone: Path) -> None:
    Path("atelier.toml").write_bytes(b"persona = '\xff\xfe'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings()
    Path("atelier.toml").write_bytes(b"\xef\xbb\xbfqueue = 5")  # as Windows editors save it
    assert load_settings().queue == 5


def test_unknown_variables_of_ours_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_DATA", "/data")
    load_settings()
    monkeypatch.setenv("ATELIER_PERSONNA", "x")
    with pytest.raises(SettingsError, match=r'"ATELIER_PERSONNA" in the environment\. Did you mean "ATELIER_PERSONA"'):
        load_settings()


def test_wrong_values_name_where_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match='"queue" among the options cannot be 0'):
        load_settings(queue=0)
    with pytest.raises(SettingsError, match='Unknown setting "passage"'):
        load_settings(passage=1)
    monkeypatch.setenv("ATELIER_QUEUE", "lots")
    with pytest.raises(SettingsError, match=r"in the environment \(ATELIER_QUEUE\) cannot be lots"):
        load_settings()


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_REMOTE_KEY", "sk-hunter2")
    monkeypatch.setenv("ATELIER_STORE", "postgresql://me:hunter2@host/db")
    settings = load_settings(generator="remote", remote_url="https://me:hunter2@host/v1", remote_model="m")
    assert settings.remote_key.get_secret_value() == "sk-hunter2"
    assert "hunter2" not in repr(settings) + str(settings)
    monkeypatch.delenv("ATELIER_STORE")
    monkeypatch.delenv("ATELIER_REMOTE_KEY")
    settings = load_settings(sources={"read": ["https://me:hunter2@host/faq"]})
    assert "hunter2" not in repr(settings) + str(settings)
    broken = 'sources = {read = "https://me:hunter2@host/faq"}'
    for text in ('remote_key = ["hunter2"]', 'store = ["hunter2"]', 'remote_url = "hunter2"', broken):
        assert "hunter2" not in refusal(text)


def test_the_written_file_explains_every_setting_and_changes_none() -> None:
    text = documented_toml()
    assert tomllib.loads(text) == {}
    write(text)
    defaults = load_settings()
    write("\n".join(line[2:] if " = " in line and line.startswith("# ") else line for line in text.split("\n")))
    assert load_settings() == defaults
    for name, field in Settings.model_fields.items():
        assert f"\n# {name} = " in text
        assert field.description
        assert field.description in text
        assert f"| `{name}` | " in settings_table()


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_chosen_values_are_written_so_that_they_are_read_back(persona: str) -> None:
    assert tomllib.loads(documented_toml(home=".", persona=persona)) == {"home": ".", "persona": persona}


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().queue = 3
