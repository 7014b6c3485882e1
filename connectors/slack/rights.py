"""What Slack lets the app do, for `atelier doctor`: the bot's scopes, and the app's token."""

from connectors.slack import manifest
from connectors.slack.calls import Calls, Refusal


async def amiss(api: str, bot_token: str, app_token: str) -> list[str]:
    """What is to be mended before all works, a sentence or two each. Raises ConnectorError.

    Every answer names the token's scopes: https://docs.slack.dev/authentication/installing-with-oauth#scopes. An
    address for Socket Mode that nobody connects to expires:
    https://docs.slack.dev/reference/methods/apps.connections.open.
    """
    found: list[str] = []
    call = Calls(api if api.endswith("/") else f"{api}/")
    try:
        if bot_token:
            await call(bot_token.strip(), "auth.test", {})  # what is wrong with the token itself is raised here
            response = await call.client(bot_token.strip(), call.session).api_call("auth.test")
            granted = str(response.headers.get("x-oauth-scopes", "")).replace(" ", "").split(",")
            if lacking := [scope for scope in manifest.scopes() if scope not in granted]:
                found.append(
                    f"The bot lacks the scopes {', '.join(lacking)}. Copy what `atelier init slack` prints into App "
                    "Manifest at https://api.slack.com/apps, then choose Install App and Reinstall."
                )
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
    return found
