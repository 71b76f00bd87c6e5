"""Staff pages for people: who signs in, who speaks, who follows whom."""

from typing import Any

import allauth.account.admin  # noqa: F401 (registers its pages, which are replaced below)
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from server.accounts.models import Account, AccountKey, Block, Follow, Mute, User
from server.core.errors import Conflict
from server.moderation import actions as moderation
from server.moderation.audited_admin import ReadOnlyAdmin, StaffAdmin, staff_action
from server.moderation.models import Report
from server.moderation.staff_display import list_of, mark, page_of, when
from server.videos.models import Comment, Video

POWERS = ("is_staff", "is_superuser", "groups", "user_permissions")


@transaction.atomic
def _vouch(*, row: User, by_staff: User, reason: str) -> None:
    address, _ = EmailAddress.objects.get_or_create(user=row, email=row.email, defaults={"primary": True})
    if not address.set_verified(commit=True):
        raise Conflict(f"{row.email} is confirmed by somebody else already.")
    moderation.audit(by_staff=by_staff, action="confirm_email", target=f"user {row.pk}: {row.email}", detail={"reason": reason})


@admin.register(User)
class UserAdmin(StaffAdmin, DjangoUserAdmin):
    """Only superusers hand out power, set passwords, or touch another superuser: else staff could make themselves such."""

    list_display = ["email", "account", "is_active", "is_staff", "is_superuser", "joined", "seen"]
    list_filter = ["is_active", "is_staff", "is_superuser", "groups", "date_joined"]
    search_fields = ["email", "account__handle"]
    ordering = ["-date_joined"]
    list_select_related = ["account"]
    fieldsets = [
        (None, {"fields": ["email", "confirmed", "account_page", "password"]}),
        ("May do", {"fields": ["is_active", *POWERS]}),
        ("When", {"fields": ["date_joined", "last_login"]}),
    ]
    readonly_fields = ["email", "confirmed", "account_page", "date_joined", "last_login"]
    actions = [
        staff_action(
            "Confirm e-mail address",
            verb=_vouch,
            warning="You vouch that these addresses belong to these people.",
            needs_reason=True,
        )
    ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        # People sign up, or are made by the command ``accounts create``: a user without an account cannot speak.
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # Staff suspend accounts; only their owners close them.
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may = super().has_change_permission(request, obj)
        return may and (obj is None or not obj.is_superuser or bool(getattr(request.user, "is_superuser", False)))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        given = list(super().get_readonly_fields(request, obj))
        return given if getattr(request.user, "is_superuser", False) else [*given, *POWERS]

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        if not getattr(request.user, "is_superuser", False):
            raise PermissionDenied
        with transaction.atomic():
            return super().user_change_password(request, id, form_url)

    @admin.display(description="address confirmed", boolean=True)
    def confirmed(self, user: User) -> bool:
        return EmailAddress.objects.filter(user=user, email__iexact=user.email, verified=True).exists()

    @admin.display(description="joined", ordering="date_joined")
    def joined(self, user: User) -> SafeString | str:
        return when(user.date_joined)

    @admin.display(description="last seen", ordering="last_login")
    def seen(self, user: User) -> SafeString | str:
        return when(user.last_login)

    @admin.display(description="account")
    def account_page(self, user: User) -> SafeString | str:
        return page_of(Account.objects.filter(user=user).first())


class GroupAdmin(StaffAdmin, DjangoGroupAdmin):
    """Groups hand out power, so only superusers change them."""

    list_display = ["name", "members"]

    @admin.display(description="members")
    def members(self, group: Group) -> int:
        return group.user_set.count()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(getattr(request.user, "is_superuser", False))


admin.site.unregister(Group)
admin.site.register(Group, GroupAdmin)
# A person's addresses are shown, and confirmed, on her own page.
admin.site.unregister(EmailAddress)


class StandingFilter(admin.SimpleListFilter):
    """In what standing an account is."""

    title, parameter_name = "standing", "standing"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("good", "Good"), ("suspended", "Suspended"), ("moved", "Moved away"), ("deleted", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Account]) -> QuerySet[Account]:
        chosen = {
            "good": Q(suspended_at=None, deleted_at=None, moved_to=None),
            "suspended": Q(suspended_at__isnull=False),
            "moved": Q(moved_to__isnull=False),
            "deleted": Q(deleted_at__isnull=False),
        }
        return queryset.filter(chosen.get(self.value() or "", Q()))


class KeyInline(admin.TabularInline):
    model = AccountKey
    # Not the private half, sealed though it is.
    readonly_fields = ["name", "algorithm", "created_at", "public"]
    fields = tuple(readonly_fields)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(ReadOnlyAdmin):
    list_display = ["address", "display_name", "home", "standing", "opened"]
    list_filter = [("domain", admin.EmptyFieldListFilter), StandingFilter, "created_at"]
    search_fields = ["handle", "domain", "display_name", "uri", "user__email", "=scid"]
    list_select_related = ["user"]
    ordering = ["-created_at"]
    inlines = [KeyInline]
    fields = [
        "address", "display_name", "standing", "bio", "user", "related", "uri", "url", "scid", "also_known_as", "moved_to",
        "manually_approves_followers", "created_at", "updated_at", "suspended_at", "deleted_at",
    ]  # fmt: skip
    readonly_fields = ["address", "standing", "related"]
    actions = [
        staff_action(
            "Suspend",
            verb=lambda *, row, by_staff, reason: moderation.suspend(account=row, by_staff=by_staff, reason=reason),
            warning="These accounts and their videos are hidden here, and their owners can no longer sign in.",
            needs_reason=True,
        ),
        staff_action(
            "Take suspension back",
            verb=lambda *, row, by_staff, reason: moderation.unsuspend(account=row, by_staff=by_staff),
        ),
    ]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Any], search_term: str) -> tuple[QuerySet[Any], bool]:
        """Also understands whole addresses: ``@bob@peer.example``."""
        found, duplicates = super().get_search_results(request, queryset, search_term)
        handle, _, domain = search_term.strip().lstrip("@").partition("@")
        if domain or search_term.startswith("@"):
            found |= queryset.filter(handle__iexact=handle, domain__iexact=domain)
        return found, duplicates

    @staticmethod
    def trail_of(row: Model) -> str:
        assert isinstance(row, Account)
        return row.uri

    @admin.display(description="opened", ordering="created_at")
    def opened(self, account: Account) -> SafeString | str:
        return when(account.created_at)

    @admin.display(description="address", ordering="handle")
    def address(self, account: Account) -> str:
        return str(account)

    @admin.display(description="home", ordering="domain")
    def home(self, account: Account) -> str:
        return account.domain or "here"

    @admin.display(description="standing")
    def standing(self, account: Account) -> SafeString:
        if account.deleted_at is not None:
            return mark("closed")
        if account.suspended_at is not None:
            return mark("suspended")
        return mark("moved" if account.moved_to_id else "good")

    @admin.display(description="everything of this account")
    def related(self, account: Account) -> SafeString:
        lists = [
            list_of(Video, "videos", account__id__exact=account.pk),
            list_of(Comment, "comments", account__id__exact=account.pk),
            list_of(Report, "reports", target__id__exact=account.pk),
            list_of(Follow, "followers", target__id__exact=account.pk),
            list_of(Follow, "following", follower__id__exact=account.pk),
        ]
        return format_html_join(" · ", "{}", ([each] for each in lists))


@admin.register(Follow)
class FollowAdmin(ReadOnlyAdmin):
    list_display = ["follower", "target", "state", "created_at"]
    list_filter = ["state"]
    search_fields = ["follower__handle", "target__handle", "follower__domain", "target__domain", "uri"]
    list_select_related = ["follower", "target"]
    ordering = ["-created_at"]


class BetweenTwoAdmin(ReadOnlyAdmin):
    list_display = ["account", "target", "created_at"]
    search_fields = ["account__handle", "target__handle", "target__domain"]
    list_select_related = ["account", "target"]
    ordering = ["-created_at"]


admin.site.register([Block, Mute], BetweenTwoAdmin)
