"""Our own pages about identity; allauth's stand beside them under /accounts/."""

from django.urls import path, re_path

from accounts.identity import views

app_name = "identity"
urlpatterns = [
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end-session"),
    re_path(
        r"^_allauth/(?:app|browser)/v1/(?:account/phone|auth/phone/verify(?:/resend)?)$", views.absent, name="absent"
    ),
    path("organization/security/", views.organization_security, name="organization-security"),
]
