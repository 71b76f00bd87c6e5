from django.apps import AppConfig


class VideosConfig(AppConfig):
    name = "server.videos"
    label = "videos"
    verbose_name = "Videos"

    def ready(self) -> None:
        from server.videos import gauges  # noqa: F401 (they register themselves)
