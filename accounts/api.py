"""`GET /api/v1/me`: what the caller may see."""

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import Viewer, viewer_of


class ViewerSerializer(serializers.Serializer[Viewer]):
    """A viewer's facts; a visitor has no role and the Free plan."""

    signed_in = serializers.BooleanField()
    role = serializers.CharField(allow_null=True)
    plan = serializers.CharField(source="plan.key")
    accepted = serializers.BooleanField(help_text="Whether the present terms and risk disclaimer are accepted.")
    delay_s = serializers.IntegerField(help_text="Seconds of market time that rounds and signals are held back.")
    may_write = serializers.BooleanField()

    def to_representation(self, instance: Viewer) -> dict[str, object]:
        """The viewer as JSON."""
        return {
            "signed_in": not instance.is_visitor,
            "role": instance.role,
            "plan": instance.plan.key,
            "accepted": instance.accepted,
            "delay_s": instance.delay_s,
            "may_write": instance.may_write,
        }


class Me(APIView):
    """The caller."""

    @extend_schema(responses=ViewerSerializer, operation_id="me")
    def get(self, request: Request) -> Response:
        """What you may see with this session."""
        return Response(ViewerSerializer(viewer_of(request)).data)


urlpatterns = [path("me", Me.as_view(), name="me")]
