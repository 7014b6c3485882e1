"""One setting in words: its default as a settings file writes it, and what is allowed."""

from pathlib import Path

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from connectors.sources_settings import Sources
from connectors.support_settings import Support


def default_of(field: FieldInfo) -> object:
    """A default as a settings file writes it."""
    value = field.default
    return (
        value.get_secret_value() if isinstance(value, SecretStr) else str(value) if isinstance(value, Path) else value
    )


def allowed(field: FieldInfo) -> str:
    """What a setting can be, in words."""
    if field.annotation in (int, float):
        what = "a whole number" if field.annotation is int else "a number"
        lowest = next(
            f"from {each.ge}" if isinstance(each, Ge) else f"above {each.gt}"
            for each in field.metadata
            if isinstance(each, Ge | Gt)
        )
        return f"{what} {lowest} up to {next(each.le for each in field.metadata if isinstance(each, Le))}"
    if field.annotation is Path:
        return "a folder"
    if field.annotation in (str, SecretStr):
        return "text"
    if field.annotation == tuple[str, ...]:
        return "a list of texts"
    if field.annotation in (Support, Sources):
        return "a table"
    if field.annotation == dict[str, Path]:
        return "a table of names and folders"
    return " or ".join(f'"{value}"' for value in field.annotation.__args__)  # type: ignore[union-attr] # a Literal


def toml_of(value: object) -> str:
    """A value as TOML."""
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    return "[]" if value == () else str(value)
