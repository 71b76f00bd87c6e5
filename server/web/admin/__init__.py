"""Staff pages of everything below the doors (``federation/admin.py`` has those of its door). Django loads this by its name.

They stand here because each act is written into moderation's audit trail, and accounts, videos and core may not import upwards.
"""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from server.web.admin import archives, identities, ledgers, moderation, payouts, people, programs, sponsors, videos, work

__all__ = ["archives", "identities", "ledgers", "moderation", "payouts", "people", "programs", "sponsors", "videos", "work"]

admin.site.site_header = "Tributary staff"
admin.site.site_title = "Tributary staff"
admin.site.index_title = "Overview"
# Tables need the width; the first page and the breadcrumbs lead everywhere.
admin.site.enable_nav_sidebar = False
# Staff sign in where everybody does: behind the same rate limits, and later the same second factor.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
