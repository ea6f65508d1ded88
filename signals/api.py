"""Routes of the signal floor under /api/v1."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
