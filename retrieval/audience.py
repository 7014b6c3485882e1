"""Who may read a document: audiences are strings `tenant/name`, and every document has exactly one.

A name is a group or a channel that the place's connector knows (`acme/hr`, `acme/c012ab`); `everyone` is the whole
tenant. Letter case and Unicode spelling make no difference.
"""

import unicodedata
from functools import lru_cache

from retrieval.errors import SettingsError

EVERYONE = "everyone"
LONGEST = 200  # characters of a tenant or a name


def everyone(tenant: str) -> str:
    """The audience that every member of `tenant` holds. Raises SettingsError when that is no tenant's name."""
    return f"{_part(tenant, 'tenant')}/{EVERYONE}"


def audience_of(tenant: str, name: str) -> str:
    """The audience `name` of `tenant`, `name` being plain (`hr`) or whole (`acme/hr`).

    Raises SettingsError when `name` is no audience or belongs to another tenant.
    """
    whole = check_audience(name if "/" in name else f"{tenant}/{name}")
    if tenant_of(whole) != _part(tenant, "tenant"):
        raise SettingsError(f"The audience {name!r} belongs to another tenant than {tenant!r}. Leave the tenant away.")
    return whole


def check_audience(text: str) -> str:
    """`tenant/name` in its one spelling. Raises SettingsError."""
    tenant, slash, name = text.partition("/")
    if not slash:
        raise SettingsError(f"{text!r} is no audience. Write tenant/name, for example acme/hr or acme/{EVERYONE}.")
    return f"{_part(tenant, 'tenant')}/{_part(name, 'audience')}"


@lru_cache(maxsize=4096)
def check_audiences(audiences: frozenset[str]) -> frozenset[str]:
    """The same for a set, as a search is given it (remembered: people ask with the same set again and again)."""
    return frozenset(map(check_audience, audiences))


def tenant_of(audience: str) -> str:
    return audience.partition("/")[0]


def check_tenant(tenant: str) -> str:
    """A tenant's name in its one spelling. Raises SettingsError."""
    return _part(tenant, "tenant")


def _part(text: str, what: str) -> str:
    part = unicodedata.normalize("NFKC", text).strip().casefold()
    if not part:
        raise SettingsError(f"The {what} name is empty. Use letters, digits, - or _, for example hr.")
    if len(part) > LONGEST:
        raise SettingsError(f"The {what} name is {len(part)} characters long; {LONGEST} is the most.")
    if not part.isprintable() or any(letter.isspace() or letter in "/[]\"'," for letter in part):
        raise SettingsError(
            f"The {what} name {text!r} holds a space, slash, bracket, quote or comma. Use letters, digits, - or _."
        )
    return part
