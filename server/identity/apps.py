from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "server.identity"
    label = "identity"
    verbose_name = "Identities"

    def ready(self) -> None:
        from server.identity import gauges  # noqa: F401 (they register themselves)
