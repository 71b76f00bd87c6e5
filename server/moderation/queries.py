"""Reading what staff decided."""

from collections.abc import Iterable

from server.accounts.addresses import canonical_host
from server.core.errors import Invalid
from server.moderation.models import DomainBlock


def names_of(host: str) -> list[str]:
    """Every domain whose block covers ``host``: itself, itself without port, and each parent domain."""
    name = host.partition(":")[0]
    labels = name.split(".")
    parents = [".".join(labels[count:]) for count in range(len(labels))]
    return [host, *parents] if host != name else parents


def blocked_among(hosts: Iterable[str]) -> set[str]:
    """Those of these canonical hosts that are blocked, themselves or by a domain above them, in one query."""
    names = {host: names_of(host) for host in hosts}
    asked = {name for each in names.values() for name in each}
    blocked = set(DomainBlock.objects.filter(domain__in=asked).values_list("domain", flat=True))
    return {host for host, each in names.items() if blocked.intersection(each)}


def is_domain_blocked(host: str) -> bool:
    """True when ``host`` (with or without port) or a domain above it is blocked. What is no host name counts as blocked."""
    try:
        canonical = canonical_host(host)
    except Invalid:
        return True
    return DomainBlock.objects.filter(domain__in=names_of(canonical)).exists()
