"""Pages about acceptance, the organization and its people."""

from django.urls import path

from accounts import audit_views, ownership_views, privacy_views, views

app_name = "accounts"
urlpatterns = [
    path("accept/", views.accept, name="accept"),
    path("organization/", views.organization, name="organization"),
    path("organization/rename/", views.rename, name="rename"),
    path("organization/switch/", views.switch, name="switch"),
    path("organization/invite/", views.invite_member, name="invite"),
    path("organization/invitations/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("organization/members/<int:pk>/role/", views.role, name="role"),
    path("organization/members/<int:pk>/remove/", views.remove, name="remove"),
    path("organization/audit/", audit_views.audit, name="audit"),
    path("organization/audit.csv", audit_views.audit_file, name="audit-csv"),
    path("organization/new/", ownership_views.found, name="found"),
    path("organization/transfer/", ownership_views.transfer, name="transfer"),
    path("organization/close/", ownership_views.close, name="close-organization"),
    path("organization/keep/", ownership_views.keep, name="keep-organization"),
    path("privacy/", privacy_views.privacy, name="privacy"),
    path("privacy/export/", privacy_views.export, name="export"),
    path("privacy/export/<uuid:pk>/", privacy_views.download, name="download"),
    path("privacy/close/", privacy_views.close, name="close-account"),
    path("privacy/keep/", privacy_views.keep, name="keep-account"),
    path("impersonation/end/", privacy_views.stop_impersonating, name="end-impersonation"),
    path("invitation/<str:token>/", views.invitation, name="invitation"),
]
