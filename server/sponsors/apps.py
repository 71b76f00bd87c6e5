from django.apps import AppConfig


class SponsorsConfig(AppConfig):
    name = "server.sponsors"
    label = "sponsors"
    verbose_name = "Sponsors"
