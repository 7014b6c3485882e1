"""What Slack lets the app do, for `atelier doctor`: the bot's scopes in each workspace, and the app's token."""

import asyncio
from collections.abc import Mapping

from connectors.connector import ConnectorError
from connectors.slack import manifest
from connectors.slack.calls import Calls, Refusal

BESIDE = 40  # workspaces asked at once
PATIENCE = 30.0  # seconds for all of them


async def amiss(
    api: str, bot_token: str, app_token: str, installed: Mapping[str, str] | None = None, address: str = ""
) -> list[str]:
    """What is to be mended before all works, a sentence or two each. Raises ConnectorError.

    installed: the bot's tokens by workspace, where it came there by OAuth. address: under which it is installed anew.
    An address for Socket Mode that nobody connects to expires:
    https://docs.slack.dev/reference/methods/apps.connections.open.
    """
    found: list[str] = []
    call = Calls(api if api.endswith("/") else f"{api}/")
    try:
        if bot_token and (lacking := (await _lacking(call, bot_token.strip()))[1]):
            found.append(
                f"The bot lacks the scopes {', '.join(lacking)}. Copy what `atelier init slack` prints into App "
                "Manifest at https://api.slack.com/apps, then choose Install App and Reinstall."
            )
        found += await _amiss_in_each(call, installed or {}, f"{address or '…'}/slack/install")
        if app_token:
            try:
                await call(app_token.strip(), "apps.connections.open", {})
            except Refusal as error:
                found.append(
                    f"Slack does not take the app token for Socket Mode ({error.code}). Make one on Basic Information, "
                    "App-Level Tokens, with the scope connections:write, and set slack_app_token to it."
                )
    finally:
        await call.close()
    return [each for each in found if each]


async def _amiss_in_each(call: Calls, installed: Mapping[str, str], page: str) -> list[str]:
    """Of each workspace in turn, asked side by side: some that give no answer hold nobody up for long."""
    gate = asyncio.Semaphore(BESIDE)

    async def asked(workspace: str, token: str) -> str:
        async with gate:
            return await _amiss_in(call, workspace, token, page)

    asking = {workspace: asyncio.create_task(asked(workspace, token)) for workspace, token in installed.items()}
    if asking:
        _, late = await asyncio.wait(asking.values(), timeout=PATIENCE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    return [
        f"Of workspace {workspace} nothing can be told now: it took too long to ask all of them."
        if task.cancelled()
        else task.result()
        for workspace, task in asking.items()
    ]


async def _amiss_in(call: Calls, workspace: str, token: str, page: str) -> str:
    """Empty where nothing is."""
    try:
        name, lacking = await _lacking(call, token)
    except Refusal as error:
        return (
            f"Slack does not take the token of workspace {workspace} ({error.code}): nobody is answered there. If "
            f"Atelier is still wanted, one of its people installs it anew at {page}."
        )
    except ConnectorError as error:  # of the others we can tell all the same
        return f"Of workspace {workspace} nothing can be told now: {error}"
    if not lacking:
        return ""
    return (
        f"Workspace {workspace} ({name}) has not granted the scopes {', '.join(lacking)}: one of its people installs "
        f"Atelier anew at {page}, and allows them."
    )


async def _lacking(call: Calls, token: str) -> tuple[str, list[str]]:
    """The workspace's name, and the scopes that the bot needs and has not. Raises ConnectorError.

    Every answer names the token's scopes: https://docs.slack.dev/authentication/installing-with-oauth#scopes.
    """
    response = await call.response(token, "auth.test", {})
    granted = str(response.headers.get("x-oauth-scopes", "")).replace(" ", "").split(",")
    return str(response.get("team", "")), [scope for scope in manifest.scopes() if scope not in granted]
