"""A call to the team's own system when a case changes: signed, to an address that is checked, without anybody's words.

The address is checked where the connection is made, so a name that is answered differently the second time gains
nothing; redirects are not followed, and proxies of the environment are not used.
"""

import hashlib
import hmac
import ipaddress
import json
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from connectors.connector import Refused, Unsure

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
    if not allow_private and is_address(host) and not is_public(host):  # a bare address is never resolved
        raise Refused(_private(host))
    connector = aiohttp.TCPConnector(resolver=Resolver(allow_private=allow_private), use_dns_cache=False)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            status = answer.status
    except PrivateAddressError as error:
        raise Refused(str(error)) from None
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        if isinstance(error.__cause__, PrivateAddressError):
            raise Refused(str(error.__cause__)) from None
        raise Unsure(f"The webhook could not be reached ({type(error).__name__}).") from None
    if status >= 300:
        raise Unsure(f"The webhook answered with {status}.")


class PrivateAddressError(OSError):
    """A name stands for an address inside this machine or network."""


class Resolver(AbstractResolver):
    """Looks names up, and gives out public addresses only."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if self._allow_private:
            return found
        if not found or not all(is_public(each["host"]) for each in found):
            raise PrivateAddressError(_private(host))
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_address(host: str) -> bool:
    """Whether it is an address and no name, also in the short forms that the system takes: 127.1, 0x7f000001."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def is_public(host: str) -> bool:
    """Whether an address is one of the open internet."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return address.is_global and not address.is_multicast and (mapped is None or mapped.is_global)


def _private(host: str) -> str:
    return (
        f"The webhook's address {host} is inside this machine or network, so it is not called. Set webhook_private = "
        "true in [support] if it is your own."
    )
