"""Views that ask for the password, or another factor, again before they open."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.reauthentication import did_recently_reauthenticate
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def reauthenticated(page: str) -> Callable[[View[P]], View[P]]:
    """Let in who has proved again, in the last minutes, who they are.

    A form that is sent without that is not carried out later by itself: the person comes back to `page`.

    Args:
        page: name of the route to come back to from a form.
    """

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if did_recently_reauthenticate(request):
                return view(request, *args, **kwargs)
            methods = get_adapter(request).get_reauthentication_methods(request.user)
            back = request.get_full_path() if request.method == "GET" else reverse(page)
            url = methods[0]["url"] if methods else reverse("account_login")
            return HttpResponseRedirect(f"{url}?{urlencode({'next': back})}")

        return login_required(guarded)

    return decorate
