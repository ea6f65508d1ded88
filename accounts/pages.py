"""What the views of this app share: who asks, and which organization they are in."""

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.access import access_memberships, viewer_of
from accounts.models import Membership, User

GET_AND_POST = ("GET", "HEAD", "POST")


def user_of(request: HttpRequest) -> User:
    """The signed-in user; 404 for visitors."""
    if not isinstance(request.user, User):
        raise Http404
    return request.user


def own_membership(request: HttpRequest) -> Membership:
    """The viewer's place in their active organization."""
    return access_memberships(viewer_of(request)).get(user=user_of(request))


def next_page(request: HttpRequest) -> str:
    """Where to go on: the address asked for, if it is one of this site."""
    wanted = request.POST.get("next") or request.GET.get("next") or "/"
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if safe else "/"


def absent(request: HttpRequest) -> HttpResponse:
    """Nothing."""
    raise Http404
