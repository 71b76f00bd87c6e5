from django.apps import AppConfig


class PortabilityConfig(AppConfig):
    name = "server.portability"
    label = "portability"
    verbose_name = "Archives"
