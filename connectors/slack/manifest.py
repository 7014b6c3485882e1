"""The app's manifest: what an administrator pastes at https://api.slack.com/apps to create the app."""

import re
from importlib import resources


def text() -> str:
    """YAML, as https://docs.slack.dev/reference/app-manifest describes it; for Socket Mode."""
    return resources.files("connectors.slack").joinpath("manifest.yaml").read_text(encoding="utf-8")


def scopes() -> list[str]:
    """What the bot may do: the scopes in the manifest."""
    listed = re.search(r"^    bot:\n((?:      - .*\n)+)", text(), re.MULTILINE)
    assert listed is not None, "the manifest lists the bot's scopes"
    return re.findall(r"- ([a-z_.]+(?::[a-z_.]+)?)", listed[1])
