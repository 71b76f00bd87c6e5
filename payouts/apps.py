from django.apps import AppConfig


class PayoutsConfig(AppConfig):
    name = "payouts"
    label = "payouts"
    verbose_name = "Ledger and payouts"

    def ready(self) -> None:
        from payouts import gauges  # noqa: F401 (they register themselves)
