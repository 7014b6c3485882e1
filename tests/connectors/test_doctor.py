"""`atelier doctor` and the platforms: what is missing, what they do not allow, and what to do about it."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import pytest
from slack_sdk.oauth.installation_store import Installation

from connectors.doctor import Check, doors
from connectors.settings import Settings
from connectors.slack import rights as slack_rights
from connectors.slack.oauth import Installations
from connectors.telegram import rights
from retrieval.database import open_database
from tests.emulators.slack import SlackEmulator
from tests.emulators.telegram import TelegramEmulator

HOOK = "https://127.0.0.1:9/telegram/abc"  # where nobody listens


def looked(home: Path, **settings: object) -> tuple[Check, Check]:
    slack, telegram = doors(Settings.model_validate({"home": home, **settings}))
    return slack, telegram


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """slack_sdk sends even 127.0.0.1 through a proxy that the environment names."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_not_set_up_is_named_with_what_to_set(home: Path) -> None:
    slack, telegram = looked(home)
    assert slack.well
    assert telegram.well
    assert "set ATELIER_SLACK_APP_TOKEN and ATELIER_SLACK_BOT_TOKEN" in slack.finding
    assert "set ATELIER_TELEGRAM_TOKEN" in telegram.finding


def test_half_of_a_set_up_is_named_with_what_is_missing(home: Path) -> None:
    slack, telegram = looked(home, slack_app_token="xapp-1", telegram_webhook=HOOK)
    assert (slack.well, telegram.well) == (False, False)
    assert "ATELIER_SLACK_BOT_TOKEN" in slack.finding
    assert "ATELIER_TELEGRAM_TOKEN" in telegram.finding
    slack, _ = looked(home, slack_bot_token="xoxb-1")
    assert not slack.well
    assert "slack_app_token" in slack.finding


def test_slack_is_asked_for_scopes_and_the_app_token(home: Path) -> None:
    with SlackEmulator.threaded() as slack:
        given = {"slack_bot_token": slack.bot_token, "slack_app_token": slack.app_token, "slack_api": slack.api_url}
        check, telegram = looked(home, **given, telegram_token="no token")
        assert check == Check("slack", True, check.finding)
        assert "in workspace" in check.finding
        assert not telegram.well
        slack.world.scopes = slack.world.scopes.replace("files:read,", "").replace(",commands", "")
        check, _ = looked(home, **given | {"slack_app_token": "xapp-of-another"})
        assert not check.well
        assert "lacks the scopes commands, files:read. " in check.finding
        assert "(invalid_auth)" in check.finding
        assert "connections:write" in check.finding
        assert "xapp" not in check.finding
        check, _ = looked(home, **given | {"slack_bot_token": "xoxb-of-nobody"})
        assert not check.well
        assert "slack_" in check.finding
        assert slack.connections == 0
    check, _ = looked(home, **given)
    assert check == Check("slack", False, "Slack cannot be reached.")


def test_each_workspace_that_installed_it_is_asked_for_its_scopes(home: Path) -> None:
    client = {"slack_client_id": "1.2", "slack_client_secret": "s", "slack_signing_secret": "s"}
    with SlackEmulator.threaded() as slack:
        given = client | {"slack_api": slack.api_url, "public_url": "https://atelier.example.com"}
        assert looked(home, **given)[0].well
        engine = open_database(f"sqlite:///{home / 'store.db'}")
        for team in ("T1", "T2", "T3"):
            installation = Installation(user_id="U1", team_id=team, bot_token=f"xoxb-{team}", bot_user_id="UBOT")
            asyncio.run(Installations(engine).async_save(installation))
        engine.dispose()
        whole = slack.world.scopes
        slack.world.elsewhere |= {f"xoxb-{team}": (team, whole) for team in ("T1", "T2", "T3")}
        assert looked(home, **given)[0].well
        slack.world.elsewhere["xoxb-T2"] = "T2", whole.replace("files:read,", "")
        del slack.world.elsewhere["xoxb-T3"]  # as after its people took Atelier away while it was off
        check, _ = looked(home, **given)
        assert not check.well
        assert "Workspace T2 (Team T2) has not granted the scopes files:read: " in check.finding
        assert "token of workspace T3 (invalid_auth)" in check.finding
        assert check.finding.count("https://atelier.example.com/slack/install") == 2
        assert "T1" not in check.finding
        assert "xoxb" not in check.finding
        slack.fail_next("auth.test", status=429, retry_after=60)
        check, _ = looked(home, **given)
        assert "Of workspace T1 nothing can be told now: Slack wants a pause" in check.finding
        assert "Workspace T2 (Team T2) has not granted" in check.finding  # of the others it is told all the same
        assert "token of workspace T3" in check.finding


def test_workspaces_are_asked_side_by_side_and_those_that_hang_hold_nobody_up(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teams = [f"T{number:02}" for number in range(30)]
    with SlackEmulator.threaded() as slack:
        slack.world.elsewhere |= {f"xoxb-{team}": (team, "commands") for team in teams}

        def asked() -> list[str]:
            found = slack_rights.amiss(slack.api_url, "", "", {team: f"xoxb-{team}" for team in teams})
            return asyncio.run(found)

        slack.delay("auth.test", 0.5, times=30)
        began = time.monotonic()
        found = asked()
        assert time.monotonic() - began < 7.5  # one after another would take 15
        assert [each.split(" (")[0] for each in found] == [f"Workspace {team}" for team in teams]
        monkeypatch.setattr(slack_rights, "PATIENCE", 3.0)
        slack.delay("auth.test", 60, times=29)
        began = time.monotonic()
        found = asked()
        assert time.monotonic() - began < 8
        assert [f"orkspace {team} " in each for team, each in zip(teams, found, strict=True)] == [True] * 30
        assert sum("it took too long to ask all of them" in each for each in found) == 29
        assert sum("has not granted the scopes" in each for each in found) == 1


def test_telegram_is_asked_where_it_sends_updates(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TelegramEmulator.threaded() as telegram:
        given = {"telegram_token": telegram.token, "telegram_api": telegram.base_url.removesuffix("/bot")}
        slack, check = looked(home, **given, slack_bot_token="xoxb-1")
        assert check.well
        assert "privacy mode" in check.finding
        assert not slack.well
        hook = telegram._world.webhook
        hook.set(HOOK, "secret", 40)
        _, check = looked(home, **given)
        assert not check.well
        assert "to a webhook at 127.0.0.1:9, which is not" in check.finding
        assert "abc" not in check.finding
        by_hook = given | {"telegram_webhook": HOOK, "telegram_secret": "secret"}
        _, check = looked(home, **by_hook)
        assert check.well
        telegram.person("Ann").writes("Hello!")
        telegram.wait_until(lambda: hook.last_error, 20)
        _, check = looked(home, **by_hook)
        assert not check.well
        assert "could not deliver to 127.0.0.1:9 at" in check.finding
        assert f"{hook.last_error}. 1 updates wait." in check.finding
        assert "abc" not in check.finding
        monkeypatch.setattr(rights, "LATELY", timedelta(0))
        assert looked(home, **by_hook)[1].well
        _, check = looked(home, **given | {"telegram_token": "1:wrong"})
        assert not check.well
    _, check = looked(home, **given)
    assert not check.well
    assert "abc" not in check.finding
