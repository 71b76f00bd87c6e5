"""Terms of an agreement in words: who gets which part."""

from payouts.agreement import Agreement

MILLIONTHS_A_PERCENT = 10_000
TABLES = ("contextual", "personal")
PLACES = {
    "contributors": "Contributors to the instance",
    "operating": "Running costs of the instance, at most",
    "reserve": "Reserve",
    "viewers": "Viewers",
    "creator": "The creator",
}


def share_rows(terms: Agreement) -> list[tuple[str, list[str]]]:
    """Receiver, and its share of each table in per cent; people first."""
    receivers = sorted(
        {to for table in TABLES for to in terms.shares[table]}, key=lambda to: (to in PLACES and to != "creator", to)
    )
    return [
        (PLACES.get(to, to), [f"{terms.shares[table].get(to, 0) / MILLIONTHS_A_PERCENT:g}" for table in TABLES])
        for to in receivers
    ]


def held_back(terms: Agreement) -> list[tuple[str, int, str]]:
    """Rail, days and per cent of what is held back."""
    return [
        (hold["rail"], hold["days"], f"{hold['rate_millionths'] / MILLIONTHS_A_PERCENT:g}") for hold in terms.document["holds"]
    ]
