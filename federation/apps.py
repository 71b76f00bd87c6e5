from django.apps import AppConfig


class FederationConfig(AppConfig):
    name = "federation"
    label = "federation"
    verbose_name = "Federation"

    def ready(self) -> None:
        from federation import gauges  # noqa: F401 (they register themselves)
