"""A call to the team's own system when a case changes: signed, to an address that is checked, without anybody's words.

The address is checked where the connection is made, so a name that is answered differently the second time gains
nothing; redirects are not followed, and proxies of the environment are not used.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp

from connectors.connector import Refused, Unsure
from retrieval.addresses import PrivateAddressError, Resolver, is_address, is_never, is_public

SECONDS = 10.0
SIGNATURE = "X-Atelier-Signature"  # sha256=HMAC of the body, in hex, with the setting `webhook_secret`
DELIVERY = "X-Atelier-Delivery"  # the same for each try: what came twice is known by it


async def call(url: str, secret: str, key: str, value: Mapping[str, object], *, allow_private: bool) -> None:
    """POST `value` as JSON. Raises Unsure when it may be tried again, Refused when that would be vain."""
    body = json.dumps(value, separators=(",", ":")).encode()
    headers = {"Content-Type": "application/json", DELIVERY: key}
    if secret:
        headers[SIGNATURE] = f"sha256={hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}"
    host = urlsplit(url).hostname or ""

    def may(address: str) -> bool:
        return is_public(address) or (allow_private and not is_never(address))

    if is_address(host) and not may(host):  # a bare address is never resolved
        raise Refused(_private(host))
    connector = aiohttp.TCPConnector(resolver=Resolver(lambda _, address: may(address)), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
    except PrivateAddressError as error:
        raise Refused(_private(error.host)) from None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        if isinstance(error.__cause__, PrivateAddressError):
            raise Refused(_private(error.__cause__.host)) from None
        raise Unsure(f"The webhook could not be reached ({type(error).__name__}).") from None
    if status >= 300:
        raise Unsure(f"The webhook answered with {status}.")


def _private(host: str) -> str:
    return (
        f"The webhook's address {host} is inside this machine or network, so it is not called. Set webhook_private = "
        "true in [support] if it is your own."
    )
