"""Pages about acceptance, the organization and its people."""

from django.urls import path

from accounts import views

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
    path("invitation/<str:token>/", views.invitation, name="invitation"),
]
