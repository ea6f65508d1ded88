"""`/api/v1/auth/`: register, sign in, refresh and look at oneself with tokens, over allauth's token strategy.

A token rests on a session like any other: it is listed, and ended, with them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.account.internal import flows
from allauth.account.internal.constants import LoginStageKey
from allauth.account.stages import LoginStage
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal import ratelimit
from allauth.headless import app_settings as headless
from allauth.headless.account.inputs import LoginInput, SignupInput
from allauth.headless.constants import Client
from allauth.headless.internal.authkit import AuthenticationStatus, authentication_context
from allauth.headless.internal.decorators import mark_request_as_headless
from allauth.headless.tokens.strategies.jwt import internal as tokens
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.internal.constants import LoginStageKey as MfaStageKey
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.urls import path
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import exceptions, serializers
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import viewer_of
from accounts.api import ViewerSerializer
from accounts.identity.clocks import has_ended, touch
from accounts.identity.factors import has_mfa
from accounts.identity.limits import RETRY_AFTER_S
from accounts.identity.sessions import note_use
from accounts.models import User


class CredentialsSerializer(serializers.Serializer[dict[str, str]]):
    """An address and a password."""

    email = serializers.EmailField()
    password = serializers.CharField(trim_whitespace=False)


class LoginSerializer(CredentialsSerializer):
    """With the code of the second factor, where the account has one."""

    code = serializers.CharField(required=False, help_text="From the authenticator app, or a recovery code.")


class RefreshSerializer(serializers.Serializer[dict[str, str]]):
    """The newest refresh token; each works once."""

    refresh_token = serializers.CharField()


class TokensSerializer(serializers.Serializer[dict[str, Any]]):
    """What a client keeps."""

    access_token = serializers.CharField(help_text="Send it as `Authorization: Bearer …`.")
    refresh_token = serializers.CharField(help_text="Works once, for a new pair.")
    token_type = serializers.CharField()
    expires_in = serializers.IntegerField(help_text="Seconds that the access token is good for.")


class RefusalSerializer(serializers.Serializer[dict[str, str]]):
    """Why there is no token."""

    detail = serializers.CharField()
    code = serializers.CharField(
        help_text="`credentials_wrong`, `mfa_required`, `mfa_wrong`, `email_unconfirmed`, `account_inactive` or"
        " `token_invalid`."
    )
    request_id = serializers.CharField()


class PersonSerializer(ViewerSerializer):
    """Who the caller is, and what they may see."""

    email = serializers.EmailField(read_only=True)
    name = serializers.CharField(read_only=True)
    mfa = serializers.BooleanField(read_only=True, help_text="Whether the sign-in takes a second factor.")


class Refused(exceptions.APIException):
    """401 with a code that a program can read."""

    status_code = 401

    def __init__(self, code: str, detail: str) -> None:
        super().__init__({"detail": detail, "code": code})


ANSWERS = {401: RefusalSerializer, 429: OpenApiResponse(description="Too many attempts; `Retry-After` says how long.")}


class TokenView(APIView):
    """A step towards a token: no session and no cookie counts here, so there is nothing to forge."""

    authentication_classes: tuple[()] = ()
    throttle_classes: tuple[()] = ()  # no plan's calls: the limits of signing in count here
    parser_classes = (JSONParser,)


class Register(TokenView):
    """A new account."""

    @extend_schema(
        request=CredentialsSerializer,
        responses={
            201: TokensSerializer,
            202: OpenApiResponse(description="A mail was sent: confirm the address, then sign in."),
            **ANSWERS,
        },
        operation_id="auth_register",
    )
    def post(self, request: Request) -> Response:
        """Create an account and an organization of your own; a known address answers like a new one."""
        with _client(request, "signup") as django_request:
            form = SignupInput(data=_fields(CredentialsSerializer, request))
            if not form.is_valid():
                raise exceptions.ValidationError(form.errors)
            user, _ = form.try_save(django_request)
            if user is not None:
                flows.signup.complete_signup(django_request, user=user)
            if isinstance(django_request.user, User):
                return Response(_tokens(django_request), status=201)
        return Response({"detail": "look into your mailbox and confirm the address, then sign in"}, status=202)


class Login(TokenView):
    """A session for a program."""

    @extend_schema(request=LoginSerializer, responses={200: TokensSerializer, **ANSWERS}, operation_id="auth_login")
    def post(self, request: Request) -> Response:
        """Exchange address and password, and the second factor's code where there is one, for tokens."""
        facts = _fields(LoginSerializer, request)
        with _client(request, "login") as django_request:
            form = LoginInput(data={"email": facts["email"], "password": facts["password"]})
            if not form.is_valid():
                raise Refused("credentials_wrong", "the address or the password is wrong")
            flows.login.perform_password_login(django_request, form.cleaned_data, form.login)
            _finish(AuthenticationStatus(django_request).get_pending_stage(), facts.get("code", ""))
            if not isinstance(django_request.user, User):
                raise Refused("account_inactive", "this account is switched off")
            return Response(_tokens(django_request))


class Refresh(TokenView):
    """New tokens for old."""

    @extend_schema(request=RefreshSerializer, responses={200: TokensSerializer, **ANSWERS}, operation_id="auth_refresh")
    def post(self, request: Request) -> Response:
        """Exchange a refresh token for a new pair; the old one is used up."""
        token = _fields(RefreshSerializer, request)["refresh_token"]
        pair = headless.TOKEN_STRATEGY.refresh_token(token) if _hold(token) else None
        if pair is None:
            raise Refused("token_invalid", "the refresh token was used, has expired or its session has ended: sign in")
        return Response(_pair(*pair))


class Person(APIView):
    """The caller."""

    @extend_schema(responses={200: PersonSerializer, 401: RefusalSerializer}, operation_id="auth_me")
    def get(self, request: Request) -> Response:
        """Who you are and what you may see; 401 without a session or token."""
        user = request.user
        if not isinstance(user, User):
            raise Refused("token_invalid", "sign in, or send an access token")
        facts = {"email": user.email, "name": user.name, "mfa": has_mfa(user)}
        return Response(ViewerSerializer(viewer_of(request)).data | facts)


@contextmanager
def _client(request: Request, action: str) -> Iterator[HttpRequest]:
    """A session of its own for the program that asks, within the limits of `action`.

    Raises:
        Throttled: too many attempts, of this action or of wrong passwords.
    """
    found = request._request
    if not ratelimit.consume(found, app="allauth.account", action=action):
        raise exceptions.Throttled(wait=60)
    mark_request_as_headless(found, Client.APP)
    try:
        with authentication_context(found):
            try:
                yield found
            except Refused:
                found.session.flush()  # half a sign-in is no session
                raise
    except ImmediateHttpResponse:  # how allauth's hooks leave: see accounts.identity.limits
        raise exceptions.Throttled(wait=RETRY_AFTER_S) from None


def _fields(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    found = serializer(data=request.data)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def _finish(stage: LoginStage | None, code: str) -> None:
    """Take the step that stands between a right password and a session, if there is one."""
    if stage is None:
        return
    if stage.key != MfaStageKey.MFA_AUTHENTICATE.value:
        is_mail = stage.key == LoginStageKey.VERIFY_EMAIL.value
        raise Refused("email_unconfirmed" if is_mail else "account_inactive", "confirm your address: a mail was sent")
    if not code:
        raise Refused("mfa_required", "this account has a second factor: send its code as `code`")
    form = AuthenticateForm(user=stage.login.user, data={"code": code})
    if not form.is_valid():
        if form.has_error("code", "too_many_login_attempts"):
            raise exceptions.Throttled(wait=RETRY_AFTER_S)
        raise Refused("mfa_wrong", "the code is wrong or was used")
    form.save()
    stage.exit()


def _hold(token: str) -> bool:
    """Lock the session behind a refresh token, so that one used twice at once works once; whether it still lasts."""
    payload = tokens.decode_token(token, "refresh")
    key = tokens.session_key_from_sid(payload["sid"]) if payload else None
    if not key or Session.objects.select_for_update().filter(session_key=key).first() is None:
        return False
    session = tokens.lookup_session(key)
    if session is None or has_ended(session):
        return False
    if touch(session):
        session.save()
        note_use(session)
    return True


def _tokens(request: HttpRequest) -> dict[str, Any]:
    payload = headless.TOKEN_STRATEGY.create_access_token_payload(request)
    return _pair(payload["access_token"], payload["refresh_token"])


def _pair(access: str, refresh: str) -> dict[str, Any]:
    seconds = headless.JWT_ACCESS_TOKEN_EXPIRES_IN
    return {"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": seconds}


urlpatterns = [
    path("auth/register", Register.as_view(), name="auth-register"),
    path("auth/login", Login.as_view(), name="auth-login"),
    path("auth/refresh", Refresh.as_view(), name="auth-refresh"),
    path("auth/me", Person.as_view(), name="auth-me"),
]
