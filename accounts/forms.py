"""What the organization's pages accept."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.models import Role


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
