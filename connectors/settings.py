"""The one settings object: arguments, then the environment (`ATELIER_*`), then `atelier.toml`, then the defaults.

The file is `--settings FILE` or `ATELIER_SETTINGS`, else `./atelier.toml`, else `<home>/atelier.toml`. Paths in it are
relative to its folder. Every mistake is a SettingsError that names the setting, where it stands and what is allowed.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from connectors.settings_words import allowed, default_of, toml_of
from connectors.sources_settings import Sources, SourcesSetting, placed
from connectors.support_settings import Support, SupportSetting
from retrieval.audience import audience_of, check_tenant, everyone
from retrieval.encoder import DEFAULT as DEFAULT_ENCODER
from retrieval.errors import SettingsError

PREFIX = "ATELIER_"
FILE = "atelier.toml"
ELSEWHERE = frozenset({"ATELIER_SETTINGS", "ATELIER_DATA"})  # read by the command line and by the benchmarks
_SECRET = frozenset(  # their values may hold a password: never shown
    {"store", "remote_key", "remote_url", "slack_bot_token", "slack_app_token", "slack_signing_secret"}
    | {"slack_client_secret", "telegram_token", "telegram_secret", "support", "sources"}
)


class Settings(BaseSettings):
    """All settings, checked. Frozen; paths are absolute."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(Path("~/.atelier"), description="The folder of everything Atelier keeps.")
    tenant: str = Field("local", description="The team whose knowledge this is; it leads every audience.")
    audiences: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="The audiences that the person at the terminal holds besides everyone, for example hr."
    )
    store: str = Field(
        "",
        repr=False,
        description="The database: postgresql://user@host/name or sqlite:////path/to/file; empty: store.db in home.",
    )
    encoder: str = Field(
        DEFAULT_ENCODER, min_length=1, description="The model that turns text to vectors: a hub name or a folder."
    )
    generator: Literal["extractive", "starter", "local", "remote"] = Field(
        "starter",
        description="Who words the answers: quotes from your documents (extractive); the same with Atelier's own small "
        "model, which marks answers and makes small talk (starter); a model on this machine; or a server's model.",
    )
    model: str = Field(
        "", description="For generator local: the causal language model, a hub name, a folder, or starter."
    )
    adapters: Annotated[dict[str, Path], NoDecode] = Field(
        {}, description="Fine-tuned adapters by name, each with its folder."
    )
    adapter: str = Field("", description="The adapter in use, by its name above; empty: none.")
    remote_url: str = Field(
        "", repr=False, description="For generator remote: the server's OpenAI-compatible address, ending in /v1."
    )
    remote_model: str = Field("", description="For generator remote: the model's name on the server.")
    remote_key: SecretStr = Field(
        SecretStr(""), description="For generator remote: the key. Better kept in ATELIER_REMOTE_KEY than in a file."
    )
    device: str = Field(
        "",
        pattern=r"^(|cpu|mps|cuda(:\d+)?)$",
        description="Where models run: cpu, cuda, cuda:1 or mps; empty: a GPU when there is one.",
    )
    persona: str = Field("", description="Who speaks, in your words: the model's first instruction; empty: Atelier's.")
    max_tokens: int = Field(400, ge=16, le=32768, description="The longest answer, in tokens.")
    temperature: float = Field(
        0.7,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description="How freely the model chooses its words; 0: always the likeliest.",
    )
    top_p: float = Field(
        0.9, gt=0, le=1, allow_inf_nan=False, description="The share of likely words the model chooses from."
    )
    deadline: float = Field(
        120, ge=1, le=3600, allow_inf_nan=False, description="Seconds a model may take before quotes answer instead."
    )
    queue: int = Field(
        64, ge=1, le=10000, description="For generator local: messages it takes at once; for more, quotes answer."
    )
    history_tokens: int = Field(
        1500, ge=100, le=100000, description="How much of a conversation is remembered word by word, in tokens."
    )
    passages: int = Field(5, ge=1, le=50, description="How many passages an answer is drawn from.")
    allowed_links: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="The hosts that answers may link to, for example docs.example.com; all other links become text."
    )
    slack_bot_token: SecretStr = Field(SecretStr(""), description="Slack: the bot's token, xoxb-…, of one workspace.")
    slack_app_token: SecretStr = Field(
        SecretStr(""), description="Slack: the app-level token, xapp-…, for Socket Mode; empty: HTTP Events."
    )
    slack_signing_secret: SecretStr = Field(SecretStr(""), description="Slack: the signing secret, for HTTP Events.")
    slack_client_id: str = Field("", description="Slack: the app's client id, to be installed in several workspaces.")
    slack_client_secret: SecretStr = Field(SecretStr(""), description="Slack: the client secret that belongs to it.")
    slack_workspaces: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Slack: which workspace is which tenant, for example T0123ABCD=acme; others are their own."
    )
    slack_api: str = Field("https://slack.com/api/", description="Slack: the Web API's address.")
    telegram_token: SecretStr = Field(SecretStr(""), description="Telegram: the bot's token, from @BotFather.")
    telegram_webhook: str = Field(
        "",
        description="Telegram: the https address under which Telegram reaches Atelier; empty: Atelier asks (polling).",
    )
    telegram_secret: SecretStr = Field(SecretStr(""), description="Telegram: the webhook's secret, your own choice.")
    telegram_previews: Literal["edits", "drafts"] = Field(
        "edits",
        description="Telegram: how an answer in a private chat is shown while it is made: by edits of a message with a "
        "Stop button, or as drafts, which flow and have none.",
    )
    telegram_api: str = Field("https://api.telegram.org", description="Telegram: the Bot API server's address.")
    listen: str = Field(
        "127.0.0.1:8080",
        pattern=r"^[^\s:]+:\d{1,5}$",
        description="Where `atelier serve` takes webhooks and shows /healthz and /metrics: host:port.",
    )
    log_format: Literal["text", "json"] = Field(
        "text", description="The log of `atelier serve`: lines for people, or a JSON object a line."
    )
    public_url: str = Field(
        "", description="The https address under which others reach `listen`, for installing in Slack."
    )
    administrators: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Accounts that may administrate, for example slack:U0123ABCD or telegram:42."
    )
    allowed: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Accounts and channels that are answered, for example slack:C0123ABCD; empty: all."
    )
    members: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Who holds an audience, person or channel, for example hr=slack:U0123ABCD."
    )
    messages_per_minute: int = Field(20, ge=1, le=10000, description="Messages of one person answered in a minute.")
    channel_messages_per_minute: int = Field(
        60, ge=1, le=10000, description="Messages answered in one channel or group in a minute."
    )
    answers_at_once: int = Field(32, ge=1, le=1000, description="Answers made side by side in one process.")
    backlog: int = Field(1000, ge=1, le=1_000_000, description="Waiting messages from which more are refused.")
    support: SupportSetting = Field(
        Support(), description="Which people take questions over, and when; README, “Support”, shows the section."
    )
    sources: SourcesSetting = Field(
        Sources(), repr=False, description="What is read again and again; the guide shows the section."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic-settings' signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(init_settings, InitSettingsSource)
        file = init_settings.init_kwargs.pop("file", None)  # not a setting: how load_settings names the file
        return init_settings, env_settings, _SettingsFile(settings_cls, file)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switches(cls, value: object) -> object:
        if isinstance(value, bool):  # pydantic would read true as 1
            raise ValueError  # noqa: TRY004 - the one pydantic collects
        return value

    @field_validator("home")
    @classmethod
    def _whole_path(cls, value: Path) -> Path:
        return _absolute(value, Path.cwd())

    @field_validator("tenant")
    @classmethod
    def _tenant_name(cls, value: str) -> str:
        with _reasons():
            return check_tenant(value)

    @field_validator(
        "audiences", "allowed_links", "administrators", "allowed", "members", "slack_workspaces", mode="before"
    )
    @classmethod
    def _listed(cls, value: object) -> object:
        """An environment variable writes a list with commas."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("audiences")
    @classmethod
    def _whole_audiences(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        tenant = info.data.get("tenant", "local")
        with _reasons():
            return tuple(sorted({everyone(tenant), *(audience_of(tenant, name) for name in value)}))

    @field_validator("adapters", mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """An environment variable writes a table as name=folder,name=folder."""
        if not isinstance(value, str) or "=" not in value:
            return value
        return dict(part.strip().partition("=")[::2] for part in value.split(",") if part.strip())

    @field_validator("adapters")
    @classmethod
    def _whole_paths(cls, value: dict[str, Path]) -> dict[str, Path]:
        return {name: _absolute(folder, Path.cwd()) for name, folder in value.items()}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.generator == "local" and not self.model:
            raise ValueError('generator = "local" needs a model: set `model` to a hub name or a folder.')
        if self.generator == "remote" and not (self.remote_url and self.remote_model):
            raise ValueError('generator = "remote" needs a server: set `remote_url` and `remote_model`.')
        if self.remote_url and not re.match(r"https?://[^/\s]+", self.remote_url):
            raise ValueError("`remote_url` is no web address. Write it like http://localhost:8000/v1.")
        if self.adapter and self.adapter not in self.adapters:
            known = ", ".join(self.adapters) or "none"
            raise ValueError(f'adapter = "{self.adapter}" is not among `adapters` (there: {known}).')
        return self

    @property
    def store_url(self) -> str:
        """The database's address, the default filled in."""
        return self.store or f"sqlite:///{self.home / 'store.db'}"


class _SettingsFile(TomlConfigSettingsSource):
    """`atelier.toml`, with its keys checked and its relative paths made whole."""

    def _read_file(self, file_path: Path) -> dict[str, Any]:  # type: ignore[override] # ours is always a Path
        values = _parse(file_path)
        for key in values:
            if key not in Settings.model_fields:
                raise SettingsError(_unknown(key, Settings.model_fields, f" in {_line_of(key, file_path)}"))
        folder = file_path.absolute().parent
        if isinstance(home := values.get("home"), str):
            values["home"] = _absolute(Path(home), folder)
        if "sources" in values:
            values["sources"] = placed(values["sources"], folder)
        if isinstance(adapters := values.get("adapters"), dict):
            values["adapters"] = {
                name: _absolute(Path(path), folder) if isinstance(path, str) else path
                for name, path in adapters.items()
            }
        for key in ("encoder", "model"):  # a hub name looks like a relative path, so it must be there to be one
            if isinstance(name := values.get(key), str) and name and _absolute(Path(name), folder).exists():
                values[key] = str(_absolute(Path(name), folder))
        if isinstance(store := values.get("store"), str) and re.match(r"sqlite:///[^/:]", store):
            values["store"] = f"sqlite:///{folder / store.removeprefix('sqlite:///')}"
        return values


def load_settings(file: str | Path | None = None, **arguments: object) -> Settings:
    """The settings from all their sources; `arguments` (None means not given) win. Raises SettingsError."""
    for name in os.environ:
        key = name.removeprefix(PREFIX).lower()
        if name.startswith(PREFIX) and name not in ELSEWHERE and key not in Settings.model_fields:
            known = [PREFIX + each.upper() for each in Settings.model_fields]
            raise SettingsError(_unknown(name, [*known, *sorted(ELSEWHERE)], " in the environment"))
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    given["file"] = chosen = find_settings_file(file)
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError(_explain(error, given, chosen)) from None  # its text may hold a secret


def default_home() -> str:
    """The home folder where no settings file names another."""
    return os.environ.get("ATELIER_HOME") or "~/.atelier"


def find_settings_file(file: str | Path | None = None) -> Path | None:
    """The settings file in use; None when there is none. Raises SettingsError when a file asked for is missing."""
    if asked := file or os.environ.get("ATELIER_SETTINGS"):
        path = Path(asked).expanduser()
        if not path.is_file():
            raise SettingsError(f"There is no settings file {path}. `atelier init` writes one.")
        return path
    home = Path(default_home()).expanduser()
    return next((path for path in (Path(FILE), home / FILE) if path.is_file()), None)


def documented_toml(**chosen: str | float) -> str:
    """The text of a settings file: every setting explained, with its default as a comment; `chosen` ones set."""
    blocks = ["# Atelier's settings. Take the # away from a line to change it; paths are relative to this file."]
    for name, field in Settings.model_fields.items():
        value = chosen[name] if name in chosen else default_of(field)
        mark = "" if name in chosen else "# "
        blocks.append(f"# {field.description}\n# Allowed: {allowed(field)}.\n{mark}{name} = {toml_of(value)}")
    return "\n\n".join(blocks) + "\n"


def settings_table() -> str:
    """The settings as a Markdown table, for the README."""
    rows = ["| setting | default | what it is | allowed |", "| --- | --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        rows.append(f"| `{name}` | `{toml_of(default_of(field))}` | {field.description} | {allowed(field)} |")
    return "\n".join(rows)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not written as TOML: {str(error).rstrip('.')}.") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text. Save it as UTF-8 and try again.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error


def _explain(error: ValidationError, arguments: Mapping[str, object], file: Path | None) -> str:
    first = error.errors(include_url=False)[0]
    reason = str(first["ctx"]["error"]) if "ctx" in first and "error" in first["ctx"] else ""
    if not first["loc"]:
        return f"The settings do not fit together: {reason}"
    name = str(first["loc"][0])
    if name not in Settings.model_fields:
        return _unknown(name, Settings.model_fields, "")
    if name in arguments:
        origin = "among the options"
    elif any(variable.upper() == PREFIX + name.upper() for variable in os.environ):
        origin = f"in the environment ({PREFIX}{name.upper()})"
    else:
        origin = f"in {_line_of(name, file)}" if file else "by default"
    value = "have that value" if name in _SECRET else f"be {str(first['input'])[:80]}"
    rule = reason or f"Allowed: {allowed(Settings.model_fields[name])}."
    return f'The setting "{name}" {origin} cannot {value}. {rule} {Settings.model_fields[name].description}'


def _unknown(name: str, known: Iterable[str], where: str) -> str:
    nearest = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    hint = f' Did you mean "{nearest[0]}"?' if nearest else " `atelier init` writes a file that explains them all."
    return f'Unknown setting "{name}"{where}.{hint}'


def _line_of(key: str, file: Path) -> str:
    pattern = re.compile(rf"\s*(\[\[?\s*)?[\"']?{re.escape(key)}[\"']?\s*[\].=]")
    lines = file.read_text("utf-8-sig").splitlines()
    number = next((i for i, line in enumerate(lines, 1) if pattern.match(line)), None)
    return f"{file.name} line {number}" if number else file.name


def _absolute(path: Path, folder: Path) -> Path:
    return Path(os.path.normpath(folder / path.expanduser()))


@contextmanager
def _reasons() -> Iterator[None]:
    """Inside a validator: lets pydantic collect a SettingsError's sentence."""
    try:
        yield
    except SettingsError as error:
        raise ValueError(str(error)) from error
