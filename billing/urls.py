"""Pages about plans, payments and invoices, and where Stripe reports."""

from django.urls import path

from billing import views, webhooks

app_name = "billing"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("plans/", views.plans, name="plans"),
    path("checkout/", views.checkout, name="checkout"),
    path("checkout/<uuid:key>/", views.order, name="order"),
    path("return/", views.returned, name="return"),
    path("refresh/", views.refresh, name="refresh"),
    path("change/", views.change_plan, name="change"),
    path("cancel/", views.cancel, name="cancel"),
    path("resume/", views.resume, name="resume"),
    path("invoices/", views.invoices, name="invoices"),
    path("portal/", views.portal, name="portal"),
    path("webhook/", webhooks.webhook, name="webhook"),
]
