"""Which addresses of a network may be called for somebody: those of the open internet, unless a team names its own.

A name is looked up and judged where the connection is made, so one that is answered differently the second time gains
nothing.
"""

import ipaddress
import socket
from collections.abc import Callable

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

Allows = Callable[[str, str], bool]  # a host as it was written, and an address that it stands for
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last four bytes are an IPv4 address


class PrivateAddressError(OSError):
    """A name stands for an address inside this machine or network. host: the name."""

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is inside this machine or network")
        self.host = host


class Resolver(AbstractResolver):
    """Looks names up, and gives out allowed addresses only: where one of a name's is not, none of them."""

    def __init__(self, allows: Allows) -> None:
        self._allows = allows
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        if not found or not all(self._allows(host, each["host"]) for each in found):
            raise PrivateAddressError(host)
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_open(_host: str, address: str) -> bool:
    """The usual `Allows`: the open internet and nothing else."""
    return is_public(address)


def is_address(host: str) -> bool:
    """Whether it is an address and no name, also in the short forms that the system takes: 127.1, 0x7f000001."""
    if host.replace(".", "").isdigit():  # aiohttp looks no such one up
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            socket.inet_aton(host)
        except OSError:
            return False
    return True


def is_public(host: str) -> bool:
    """Whether an address is one of the open internet, also where it only wraps one of another kind."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(str(ipaddress.IPv4Address(address.packed[12:])))
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return is_public(str(inner)) and (address.is_global or address.ipv4_mapped is not None)
        if address.is_reserved:  # ::7f00:1 too, which nobody routes
            return False
    return address.is_global and not address.is_multicast
