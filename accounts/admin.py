"""The operator's view of people and tenants. Its requests run as audited operator work (`accounts.middleware`)."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from accounts.identity import console  # noqa: F401  # importing it registers its pages
from accounts.models import Acceptance, ApiKey, AuditEntry, Invitation, Membership, Organization, User
from accounts.planning import change_plan
from accounts.scoping import scope_to

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
class UserAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """People. They sign up themselves and set their own passwords; an operator can switch them off."""

    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("email", "name")
    fields = ("email", "name", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    readonly_fields = ("date_joined", "last_login")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: a person signs up, an operator is made by `createsuperuser`."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: the record names people by their row."""
        return False


@admin.register(Organization)
class OrganizationAdmin(ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """Tenants and their plans."""

    list_display = ("name", "slug", "plan", "created_at")
    list_filter = ("plan",)
    search_fields = ("name", "slug")
    fields = ("name", "slug", "plan", "created_at")
    readonly_fields = ("slug", "created_at")

    def save_model(
        self, request: HttpRequest, obj: Organization, form: "ModelForm[Organization]", change: bool
    ) -> None:
        """Store the name; a plan is changed by the function that tells everybody."""
        before = Organization.objects.get(pk=obj.pk).plan
        wanted, obj.plan = obj.plan, before
        super().save_model(request, obj, form, change)
        if wanted != before:
            with scope_to(obj.pk):
                change_plan(obj, wanted, by=request.user if isinstance(request.user, User) else None)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: an organization is founded by its owner."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        """Never: the audit log names it."""
        return False


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

    list_display = ("at", "actor", "action", "organization", "details")
    list_select_related = ("organization",)
    list_filter = ("action",)
    search_fields = ("actor", "action")
    date_hierarchy = "at"
