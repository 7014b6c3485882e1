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
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215: the same for networks of one's own
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291, which nobody routes any more
_THIS_NETWORK = ipaddress.IPv4Network("0.0.0.0/8")  # Linux takes some of it for the machine itself
_METADATA = frozenset(
    map(
        ipaddress.ip_address,
        # AWS, Azure, Google and most others; AWS over IPv6; Google over IPv6; Azure's host; Alibaba; Oracle
        ("169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"),
    )
)


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
    address = _address(host)
    if address is None or is_never(host):
        return False
    inner = _wrapped(address)
    if inner:
        is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
        is_carried = is_mapped or address in _NAT64
        return all(is_public(str(each)) for each in inner) and (address.is_global or is_carried)
    return address.is_global and not address.is_reserved


def is_never(host: str) -> bool:
    """Whether an address is one that nobody has business with, whatever a setting says, also where it is wrapped.

    Link-local ones and those under which clouds hand out their machines' passwords, multicast, and what is no address
    of one machine. True for what is no address at all.
    """
    address = _address(host)
    if address is None:
        return True
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return True
    if isinstance(address, ipaddress.IPv4Address) and (address.is_reserved or address in _THIS_NETWORK):
        return True
    return any(is_never(str(each)) for each in _wrapped(address))


def is_this_machine(host: str) -> bool:
    """Whether an address is the machine's own, also where it is wrapped."""
    address = _address(host)
    return address is not None and (address.is_loopback or any(is_this_machine(str(e)) for e in _wrapped(address)))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _wrapped(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for on some network: whoever calls it may end up there."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    content = address.packed
    found = [inner for inner in (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())) if inner is not None]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        found.append(ipaddress.IPv4Address(content[12:]))
    if address in _NAT64_LOCAL:  # RFC 6052, section 2.2: where the address stands goes by the length of the prefix
        found += [
            ipaddress.IPv4Address(content[6:8] + content[9:11]),
            ipaddress.IPv4Address(content[7:8] + content[9:12]),
            ipaddress.IPv4Address(content[9:13]),
            ipaddress.IPv4Address(content[12:]),
        ]
    if content[8:12] in (b"\0\0\x5e\xfe", b"\2\0\x5e\xfe"):  # RFC 5214, ISATAP
        found.append(ipaddress.IPv4Address(content[12:]))
    return found
