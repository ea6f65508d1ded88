"""People, organizations (the tenants), who belongs to which, and what was accepted and done.

Every row with an `organization` is fenced twice: django-scopes refuses a query outside a scope, and PostgreSQL's
row-level security returns nothing without the transaction's settings (`accounts.scoping`).
"""

import secrets
import uuid
from datetime import datetime
from typing import ClassVar, Self

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.plans import PLANS, plan_of
from accounts.scoping import TenantManager
from lib.clock import wall_now


class UserManager(BaseUserManager["User"]):
    """Makes users; addresses are kept in lower case so that one mailbox is one account."""

    def create_user(self, email: str, password: str | None = None, **fields: str | bool) -> "User":
        """A saved user without an organization; `accounts.founding.found_organization` gives one."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: str | bool) -> "User":
        """An operator: may enter the admin, whose requests run as audited operator work."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        """The user of an address, whatever its case."""
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """One person, known by an email address. What they may see comes from their memberships."""

    email = models.EmailField(_("email"), unique=True)
    name = models.CharField(_("name"), max_length=120, blank=True)
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("operator"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=wall_now, editable=False)
    erase_at = models.DateTimeField(_("to be erased"), null=True, editable=False)
    erased_at = models.DateTimeField(_("erased"), null=True, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        """One spelling of an address is one account."""

        constraints = [
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_user_email_lower"),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def label(self) -> str:
        """How others see this person: by address, or by number once erased."""
        return gettext("erased person %(number)d") % {"number": self.pk} if self.erased_at else self.email


class Role(models.TextChoices):
    """What a member may do, most first."""

    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    MEMBER = "member", _("Member")
    READONLY = "readonly", _("Read-only")


MANAGING_ROLES = frozenset({Role.OWNER, Role.ADMIN})
WRITING_ROLES = MANAGING_ROLES | {Role.MEMBER}


def new_slug() -> str:
    """An organization's public id: 60 random bits, so that ids cannot be counted or guessed."""
    return secrets.token_hex(8)[:15]


def default_plan() -> str:
    """The plan of a new organization; an unknown DEFAULT_PLAN is an error (and stops the start, `accounts.checks`)."""
    return plan_of(settings.DEFAULT_PLAN).key


def plan_choices() -> list[tuple[str, str]]:
    """Plans as a form offers them; a callable, so that a new plan is no migration."""
    return [(plan.key, plan.title) for plan in PLANS.values()]


class Organization(models.Model):
    """The tenant. Its plan decides what its members see (`accounts.plans`)."""

    slug = models.SlugField(_("public id"), unique=True, default=new_slug, editable=False)
    name = models.CharField(_("name"), max_length=120)
    plan = models.CharField(_("plan"), max_length=20, default=default_plan, choices=plan_choices)
    requires_mfa = models.BooleanField(_("asks every member for a second factor"), default=False)
    created_at = models.DateTimeField(_("created"), default=wall_now, editable=False)
    erase_at = models.DateTimeField(_("to be erased"), null=True, editable=False)
    erased_at = models.DateTimeField(_("erased"), null=True, editable=False)
    followed = ArrayField(
        models.BigIntegerField(),
        verbose_name=_("followed instruments"),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Ids in the order of choice, over all markets; none of a market: its first ones"),
    )

    objects: ClassVar[TenantManager[Self]] = TenantManager("pk")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """A user's place in an organization."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(_("since"), default=wall_now, editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """One place per person and organization; a role that is none is refused."""

        constraints = [
            models.UniqueConstraint(fields=["organization", "user"], name="accounts_membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=Role.values), name="accounts_membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} {self.role} of {self.organization_id}"


class Invitation(models.Model):
    """An offer of membership, sent by mail; only the hash of its token is kept."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="invitations")
    email = models.EmailField(_("email"))
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.MEMBER)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(_("sent"), default=wall_now, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """One open offer per address."""

        constraints = [
            models.UniqueConstraint(
                fields=["organization", "email"],
                condition=models.Q(accepted_at__isnull=True),
                name="accounts_invitation_open_once",
            ),
            models.CheckConstraint(condition=models.Q(email=Lower("email")), name="accounts_invitation_email_lower"),
        ]

    def __str__(self) -> str:
        return f"{self.email} to {self.organization_id}"

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be accepted at `now`."""
        return self.accepted_at is None and now < self.expires_at


class ApiKey(models.Model):
    """A machine's credential: the prefix is shown and searched for, the secret is kept only as SHA-256."""

    organization = models.ForeignKey(Organization, models.CASCADE, related_name="api_keys")
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=16, unique=True, editable=False)
    secret_sha256 = models.CharField(max_length=64, editable=False)
    scopes = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(_("created"), default=wall_now, editable=False)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Acceptance(models.Model):
    """That a person accepted the terms and the risk disclaimer of one version. Append-only."""

    user = models.ForeignKey(User, models.PROTECT, related_name="acceptances")
    version = models.CharField(_("version of terms and disclaimer"), max_length=20)
    accepted_at = models.DateTimeField(_("accepted"), default=wall_now, editable=False)
    ip = models.GenericIPAddressField(_("address"), null=True)

    class Meta:
        """Accepting twice is accepting once."""

        constraints = [models.UniqueConstraint(fields=["user", "version"], name="accounts_acceptance_once")]

    def __str__(self) -> str:
        return f"{self.user_id} accepted {self.version}"


class AuditEntry(models.Model):
    """Who did what, when and from where. Append-only; rows of no organization are read by operators only.

    `chain` to `hash` are written by the database at commit: each organization's rows are one chain, those of none are
    chain 0 (docs/decisions/0006-an-audit-log-that-can-forget.md). What names a person lies in `ip` and `personal`; the
    chain holds `personal_sha256` of them, so that erasing them leaves the chain whole.

    The key is made here, not by the database: an INSERT … RETURNING needs the right to read the row back, which the
    writer of a row without organization does not have.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(_("at"), default=wall_now, editable=False)
    organization = models.ForeignKey(Organization, models.PROTECT, null=True, related_name="audit_entries")
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    actor = models.CharField(_("who"), max_length=254)
    action = models.CharField(_("what"), max_length=60)
    details = models.JSONField(_("details"), default=dict)
    request_id = models.CharField(_("request"), max_length=64, blank=True, default="")
    ip = models.GenericIPAddressField(_("from"), null=True, blank=True)
    personal = models.JSONField(_("personal facts"), default=dict, blank=True)
    salt = models.CharField(max_length=64, blank=True, default="", editable=False)
    personal_sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)
    chain = models.BigIntegerField(_("chain"), null=True, editable=False)
    number = models.BigIntegerField(_("number"), null=True, editable=False)
    previous = models.CharField(max_length=64, blank=True, default="", editable=False)
    hash = models.CharField(_("hash"), max_length=64, blank=True, default="", editable=False)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """Read by organization and by time; one row per number of a chain."""

        verbose_name_plural = "audit entries"
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="accounts_audit_number")]
        indexes = [
            models.Index(fields=["organization", "-at"], name="accounts_audit_organization"),
            models.Index(fields=["-at"], name="accounts_audit_at"),
            models.Index(fields=["id"], condition=models.Q(number=None), name="accounts_audit_unchained"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.actor} {self.action}"

    @property
    def who(self) -> str:
        """The person's address of today, or what acted in no person's name."""
        return self.user.label if self.user and self.actor == f"user:{self.user_id}" else self.actor

    @property
    def facts(self) -> dict[str, object]:
        """Details and personal facts together, as a page shows them."""
        return {**self.details, **self.personal}


class TenantSecret(models.Model):
    """A secret of an organization, sealed (`accounts.sealed`); such as a read-only exchange key or a bot's token."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organization = models.ForeignKey(Organization, models.CASCADE, related_name="secrets")
    kind = models.CharField(_("kind"), max_length=40)
    name = models.CharField(_("name"), max_length=80)
    sealed = models.TextField(editable=False)
    created_at = models.DateTimeField(_("created"), default=wall_now, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    objects: ClassVar[TenantManager[Self]] = TenantManager()

    class Meta:
        """One secret of a kind and name."""

        constraints = [
            models.UniqueConstraint(fields=["organization", "kind", "name"], name="accounts_secret_once"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def context(self) -> str:
        """What the sealed text is bound to."""
        return f"tenant:{self.organization_id}:secret:{self.pk}"


class DataExport(models.Model):
    """A copy of all data about a person, or about an organization, that its requester may fetch for some days.

    The row is the requester's, not the tenant's: what fences it is the person (`app.user`).
    """

    class State(models.TextChoices):
        """How far it is."""

        ASKED = "asked", _("being made")
        READY = "ready", _("ready")
        FAILED = "failed", _("failed")
        GONE = "gone", _("expired")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, models.CASCADE, related_name="exports")
    organization = models.ForeignKey(Organization, models.CASCADE, null=True, related_name="exports")
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.ASKED)
    created_at = models.DateTimeField(_("asked"), default=wall_now, editable=False)
    expires_at = models.DateTimeField(_("until"))
    size = models.BigIntegerField(_("bytes"), default=0)

    def __str__(self) -> str:
        return f"export {self.pk} for {self.user_id}"

    @property
    def file_name(self) -> str:
        """Its name in the folder of exports: nobody can guess it, and nothing of the person is in it."""
        return f"{self.pk.hex}.zip"
