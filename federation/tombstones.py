"""Ids that were deleted: they answer 410 and never come back."""

from federation.models import Tombstone


def bury(uri: str) -> None:
    """Remember that ``uri`` was deleted. Twice is once."""
    Tombstone.objects.get_or_create(uri=uri)


def is_buried(uri: str) -> bool:
    """Was ``uri`` deleted?"""
    return Tombstone.objects.filter(uri=uri).exists()
