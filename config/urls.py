"""Every address the site answers."""

from django.contrib import admin
from django.urls import include, path

from accounts.pages import absent
from config import api, metrics

# allauth's API always has addresses for phone numbers, and breaks where an installation keeps none.
NO_PHONES = [
    path(f"_allauth/{client}/v1/{where}", absent, name=f"no-phones-{client}-{number}")
    for client in ("app", "browser")
    for number, where in enumerate(("account/phone", "auth/phone/verify", "auth/phone/verify/resend"))
]

urlpatterns = [
    path("", include("signals.urls")),
    path("", include("accounts.urls")),
    path("", include("accounts.identity.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("billing/", include("billing.urls")),
    path("accounts/", include("allauth.account.urls")),
    *NO_PHONES,
    path("_allauth/", include("allauth.headless.urls")),
    path("api/v1/", include((api.urlpatterns, "api"))),
    path("api/docs/", api.docs, name="api-docs"),
    path("console", absent, name="console"),  # or the missing slash would be put there, and say that there is a console
    path("console/", admin.site.urls),
    path("metrics", metrics.metrics, name="metrics"),
]

handler400 = "signals.views.bad_request"
handler403 = "signals.views.forbidden"
handler404 = "signals.views.not_found"
handler429 = "signals.errors.too_many"  # allauth's name for it
handler500 = "signals.views.server_error"
