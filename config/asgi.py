"""The web process: Django for pages and API, Channels for the live page."""

import os
import warnings

from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from django.urls import path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.prod")
# WhiteNoise hands files over in pieces that Django reads in a thread; what we stream ourselves is asynchronous.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume", module="django.core.handlers.asgi")
http = get_asgi_application()

from signals.consumers import BoardConsumer  # noqa: E402  # models exist only after Django is set up

application = ProtocolTypeRouter(
    {
        "http": http,
        # No session middleware: it would wrap every send; the consumer reads the cookie itself.
        "websocket": AllowedHostsOriginValidator(URLRouter([path("ws/board/", BoardConsumer.as_asgi())])),
    }
)
