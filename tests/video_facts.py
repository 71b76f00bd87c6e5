"""Which facts about videos were recorded; others record their own beside them."""

from server.core.models import Task

OURS = r"^(Upload|Video|Comment|Like|Share)"


def recorded() -> list[str]:
    """Their names in order, each once."""
    return list(dict.fromkeys(Task.objects.filter(fact__regex=OURS).order_by("id").values_list("fact", flat=True)))
