"""Every address the site answers."""

from django.contrib import admin
from django.urls import include, path

from config import api, metrics

urlpatterns = [
    path("", include("signals.urls")),
    path("", include("accounts.urls")),
    path("billing/", include("billing.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("api/v1/", include((api.urlpatterns, "api"))),
    path("api/docs/", api.docs, name="api-docs"),
    path("console/", admin.site.urls),
    path("metrics", metrics.metrics, name="metrics"),
]

handler400 = "signals.views.bad_request"
handler403 = "signals.views.forbidden"
handler404 = "signals.views.not_found"
handler500 = "signals.views.server_error"
