"""What the billing pages accept."""

from django import forms
from django.utils.translation import gettext_lazy as _


class WishForm(forms.Form):
    """What to buy, and in which currency; both are checked against what is sold."""

    price = forms.CharField(max_length=80, error_messages={"required": _("Choose a plan.")})
    currency = forms.CharField(max_length=3, error_messages={"required": _("Choose a currency.")})

    def clean_currency(self) -> str:
        """As Stripe writes it."""
        return str(self.cleaned_data["currency"]).lower()


class ChangeForm(forms.Form):
    """The change that was previewed."""

    token = forms.CharField(max_length=2000)
