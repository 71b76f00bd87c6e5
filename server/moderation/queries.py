"""Reading what staff decided."""

from server.accounts.addresses import canonical_host
from server.core.errors import Invalid
from server.moderation.models import DomainBlock


def names_of(host: str) -> list[str]:
    """Every domain whose block covers ``host``: itself, itself without port, and each parent domain."""
    name = host.partition(":")[0]
    labels = name.split(".")
    parents = [".".join(labels[count:]) for count in range(len(labels))]
    return [host, *parents] if host != name else parents


def is_domain_blocked(host: str) -> bool:
    """True when ``host`` (with or without port) or a domain above it is blocked. What is no host name counts as blocked."""
    try:
        canonical = canonical_host(host)
    except Invalid:
        return True
    return DomainBlock.objects.filter(domain__in=names_of(canonical)).exists()
