"""The operator's view of people and tenants. Its requests run as audited operator work (`accounts.middleware`)."""

from typing import TypeVar

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import action

from accounts import dangerous
from accounts.identity import console  # noqa: F401  # importing it registers its pages
from accounts.models import Acceptance, ApiKey, AuditEntry, DataExport, Invitation, Membership, Organization, User
from accounts.models import TenantSecret as Secret

Row = TypeVar("Row", bound=Model)

admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]  # one login page, one rate limit


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Rows that are looked at here and written elsewhere."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never."""
        return False


@admin.register(User)
class UserAdmin(ReadOnlyAdmin):
    """People. They sign up themselves and set their own passwords; what an operator can do to them is confirmed."""

    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "is_staff", "date_joined", "last_login", "erase_at", "erased_at")
    actions_detail = ("see_as", "switch_off", "switch_on", "make_operator", "end_operator")

    @action(description=_("See as this person"), url_path="see-as")  # type: ignore[untyped-decorator]  # unfold has no types
    def see_as(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Impersonate, read-only."""
        return dangerous.impersonation_page(request, *_asked(User, object_id))

    @action(description=_("Switch off"), url_path="switch-off")  # type: ignore[untyped-decorator]  # unfold has no types
    def switch_off(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """End the person's access."""
        user, back = _asked(User, object_id)
        effects = [
            gettext("%(email)s can no longer sign in.") % {"email": user.email},
            gettext("Every session and every open page of theirs ends within seconds."),
        ]
        words = (gettext("Switch the account off"), effects, gettext("Switch it on again on the same page."))
        return dangerous.person_page(request, user, back, dangerous.switch_off, words)

    @action(description=_("Switch on"), url_path="switch-on")  # type: ignore[untyped-decorator]  # unfold has no types
    def switch_on(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Let the person in again."""
        user, back = _asked(User, object_id)
        effects = [gettext("%(email)s can sign in again.") % {"email": user.email}]
        words = (gettext("Switch the account on"), effects, gettext("Switch it off again on the same page."))
        return dangerous.person_page(request, user, back, dangerous.switch_on, words)

    @action(description=_("Make operator"), url_path="make-operator")  # type: ignore[untyped-decorator]  # unfold has no types
    def make_operator(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Give the person the console."""
        user, back = _asked(User, object_id)
        effects = [
            gettext("%(email)s sees every tenant in the console, and can do all that you can.") % {"email": user.email}
        ]
        words = (gettext("Make an operator"), effects, gettext("Take the console away on the same page."))
        return dangerous.person_page(request, user, back, dangerous.make_operator, words)

    @action(description=_("Take the console away"), url_path="end-operator")  # type: ignore[untyped-decorator]  # unfold has no types
    def end_operator(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Take the console from the person."""
        user, back = _asked(User, object_id)
        effects = [gettext("%(email)s can no longer open the console and is signed out.") % {"email": user.email}]
        words = (gettext("Take the console away"), effects, gettext("Make them an operator on the same page."))
        return dangerous.person_page(request, user, back, dangerous.end_operator, words)


@admin.register(Organization)
class OrganizationAdmin(ReadOnlyAdmin):
    """Tenants and their plans."""

    list_display = ("name", "slug", "plan", "created_at")
    list_filter = ("plan",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "plan", "created_at", "erase_at", "erased_at")
    actions_detail = ("change_the_plan",)

    @action(description=_("Change the plan"), url_path="plan")  # type: ignore[untyped-decorator]  # unfold has no types
    def change_the_plan(self, request: HttpRequest, object_id: int) -> HttpResponse:
        """Put it on another plan."""
        return dangerous.plan_page(request, *_asked(Organization, object_id))


def _asked(model: type[Row], key: int | str) -> tuple[Row, str]:
    """The row, and the address of its page in the console."""
    found: Row = get_object_or_404(model, pk=key)
    return found, reverse(f"admin:accounts_{model._meta.model_name}_change", args=[found.pk])


@admin.register(Membership)
class MembershipAdmin(ReadOnlyAdmin):
    """Who belongs where."""

    list_display = ("organization", "user", "role", "created_at")
    list_select_related = ("organization", "user")
    search_fields = ("organization__name", "user__email")


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    """Invitations, without their tokens."""

    list_display = ("organization", "email", "role", "created_at", "expires_at", "accepted_at")
    list_select_related = ("organization",)
    search_fields = ("organization__name", "email")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """API keys, without their secrets."""

    list_display = ("organization", "name", "prefix", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_select_related = ("organization",)
    fields = ("organization", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")


@admin.register(Acceptance)
class AcceptanceAdmin(ReadOnlyAdmin):
    """Who accepted which version."""

    list_display = ("user", "version", "accepted_at", "ip")
    list_select_related = ("user",)
    search_fields = ("user__email",)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log."""

    list_display = ("at", "who", "action", "organization", "details", "personal", "ip", "request_id")
    list_select_related = ("organization", "user")
    list_filter = ("action",)
    search_fields = ("actor", "action", "user__email", "request_id")
    date_hierarchy = "at"


@admin.register(Secret)
class TenantSecretAdmin(ReadOnlyAdmin):
    """Which secrets are stored, without them."""

    list_display = ("organization", "kind", "name", "created_at", "last_used_at")
    list_select_related = ("organization",)
    fields = ("organization", "kind", "name", "created_at", "last_used_at")


@admin.register(DataExport)
class DataExportAdmin(ReadOnlyAdmin):
    """Which copies of data were asked for; they are fetched by who asked."""

    list_display = ("user", "organization", "state", "created_at", "expires_at", "size")
    list_select_related = ("user", "organization")
