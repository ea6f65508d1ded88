"""The operator's view of sessions and second factors: looked at, without keys and secrets.

allauth registers pages of its own that would show both, and that search a field our users do not have.
"""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.audit import record
from accounts.identity.sessions import end_sessions
from accounts.models import User

admin.site.unregister([Authenticator, UserSession])


class LookedAt(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that are made and ended by their person."""

    list_select_related = ("user",)
    search_fields = ("user__email",)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(Authenticator)
class AuthenticatorAdmin(LookedAt):
    """Second factors. An operator may remove one for somebody who has lost it, and has to know whom they talk to."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_filter = ("type",)
    fields = ("user", "type", "created_at", "last_used_at")

    def delete_model(self, request: HttpRequest, obj: Authenticator) -> None:
        """Remove one, on the record; its person signs in anew everywhere."""
        obj.delete()
        if isinstance(request.user, User):
            record("mfa.removed_by_operator", user=request.user, person=obj.user.pk, kind=obj.type)
        end_sessions(obj.user, reason="second factor removed by an operator")

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Authenticator]) -> None:
        """Each as if it were the only one."""
        for found in queryset:
            self.delete_model(request, found)


@admin.register(UserSession)
class UserSessionAdmin(LookedAt):
    """Sessions that are open."""

    list_display = ("user", "created_at", "last_seen_at", "ip", "user_agent")
    fields = ("user", "created_at", "last_seen_at", "ip", "user_agent")

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: deleting the row here would leave the session open."""
        return False
