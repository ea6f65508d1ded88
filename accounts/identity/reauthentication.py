"""Asking again who it is, before what cannot be taken back."""

from collections.abc import Callable
from typing import Concatenate, ParamSpec

from allauth.account.decorators import reauthentication_required
from django.http import HttpRequest, HttpResponse

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def reauthenticated(view: View[P]) -> View[P]:
    """Let a person through who proved within the last five minutes who they are; others are asked first.

    Stands below `login_required`. A form that was sent is kept meanwhile and goes through afterwards; nobody types it
    twice. For pages only: the token API has no such flow.
    """
    guarded: View[P] = reauthentication_required(view)
    return guarded
