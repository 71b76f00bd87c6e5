from django.apps import AppConfig


class VideosConfig(AppConfig):
    name = "server.videos"
    label = "videos"
    verbose_name = "Videos"
