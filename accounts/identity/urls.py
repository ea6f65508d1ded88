"""Our own pages about identity; allauth's stand beside them under /accounts/."""

from django.urls import path

from accounts.identity import views

app_name = "identity"
urlpatterns = [
    path("accounts/sessions/<int:pk>/end/", views.end_session, name="end-session"),
    path("organization/security/", views.organization_security, name="organization-security"),
]
