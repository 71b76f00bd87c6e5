from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "server.core"
    label = "core"
    verbose_name = "Background work and keys"

    def ready(self) -> None:
        from server.core import checks, gauges  # noqa: F401 (they register themselves)
