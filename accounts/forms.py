"""What the organization's pages accept."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from accounts.models import AuditEntry, Membership, Role, User, plan_choices


class AcceptForm(forms.Form):
    """Both boxes are the person's own act: none is ticked beforehand."""

    terms = forms.BooleanField(
        label=_("I have read the terms of use and accept them."),
        error_messages={"required": _("Tick this box to go on.")},
    )
    risk = forms.BooleanField(
        label=_("I understand that signals can be wrong, that I can lose money and that past results promise nothing."),
        error_messages={"required": _("Tick this box to go on.")},
    )


class InviteForm(forms.Form):
    """Whom to invite, and as what; owners are made from members, not invited."""

    email = forms.EmailField(label=_("Email address"), widget=forms.EmailInput(attrs={"autocomplete": "off"}))
    role = forms.ChoiceField(
        label=_("Role"), choices=[choice for choice in Role.choices if choice[0] != Role.OWNER], initial=Role.MEMBER
    )

    def clean_role(self) -> Role:
        """The role as its enumeration."""
        return Role(self.cleaned_data["role"])


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)

    def clean_role(self) -> Role:
        """The role as its enumeration."""
        return Role(self.cleaned_data["role"])


class RenameForm(forms.Form):
    """The organization's name; its plan is not in here."""

    name = forms.CharField(label=_("Name"), max_length=120)


class AuditFilter(forms.Form):
    """Which rows of the audit log to show."""

    who = forms.TypedChoiceField(label=_("Who"), required=False, coerce=int, empty_value=None)
    action = forms.ChoiceField(label=_("What"), required=False)
    since = forms.DateField(label=_("From"), required=False, widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(label=_("To"), required=False, widget=forms.DateInput(attrs={"type": "date"}))

    def __init__(self, entries: QuerySet[AuditEntry], data: QueryDict) -> None:
        """Offer the people and acts that occur in `entries`."""
        super().__init__(data)
        people = User.objects.filter(pk__in=entries.order_by().values("user").distinct())
        chosen = [(user.pk, user.label) for user in people.order_by("email")]
        actions = entries.order_by("action").values_list("action", flat=True).distinct()
        self.fields["who"].choices = [("", _("Everybody")), *chosen]  # type: ignore[attr-defined]  # a choice field
        self.fields["action"].choices = [("", _("Everything")), *((name, name) for name in actions)]  # type: ignore[attr-defined]  # as above


class TypedNameForm(forms.Form):
    """A dangerous act is confirmed by typing the name of what it is done to."""

    name = forms.CharField(label=_("Type its name to confirm"), widget=forms.TextInput(attrs={"autocomplete": "off"}))

    def __init__(self, expected: str, label: str, data: QueryDict | None = None, **kwargs: Any) -> None:
        """Ask for `expected`, which `label` says in words."""
        super().__init__(data, **kwargs)
        self.expected = expected
        self.fields["name"].label = label

    def clean_name(self) -> str:
        """The name, just as it is."""
        if self.cleaned_data["name"].strip() != self.expected.strip():
            raise forms.ValidationError(_("That is not it: type “%(name)s”."), params={"name": self.expected})
        return str(self.cleaned_data["name"])


class TransferForm(TypedNameForm):
    """To whom an organization goes."""

    heir = forms.TypedChoiceField(label=_("New owner"), coerce=int)
    field_order = ("heir", "name")

    def __init__(self, members: Iterable[Membership], expected: str, data: QueryDict | None = None) -> None:
        """Offer `members`."""
        label = _("Type the organization's name, “%(name)s”, to confirm") % {"name": expected}
        super().__init__(expected, label, data)
        self.fields["heir"].choices = [(row.pk, row.user.email) for row in members]  # type: ignore[attr-defined]  # a choice field


class DangerForm(TypedNameForm):
    """The typed confirmation of an operator's act."""

    def __init__(self, expected: str, data: QueryDict | None = None, **kwargs: Any) -> None:
        """Ask for `expected`."""
        super().__init__(expected, _("Type “%(name)s” to confirm") % {"name": expected}, data, **kwargs)


class ReasonForm(DangerForm):
    """What an operator looks for in somebody's place."""

    reason = forms.CharField(label=_("What for"), max_length=500)
    field_order = ("reason", "name")


class PlanForm(DangerForm):
    """An organization's next plan."""

    plan = forms.ChoiceField(label=_("Plan"), choices=plan_choices)
    field_order = ("plan", "name")
