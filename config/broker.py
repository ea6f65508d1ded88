"""Redis as the broker: kombu's own transport, but for one end of a connection that ended the worker with it.

When Redis goes away while a worker holds a task, kombu 5.7 first forgets whose the connection is and then wants to give
the task back over it: an AttributeError that no one expects, and the worker is gone. Such a task is found by the
sweeper, or comes again after the visibility time-out.
"""

from kombu.transport import redis


class Channel(redis.Channel):
    """A channel that gives tasks back only where there is a connection to give them back over."""

    @property
    def do_restore(self) -> bool:  # type: ignore[override]  # kombu only reads it
        """Whether unfinished tasks go back into their queue when the channel closes."""
        return self.connection.client is not None


class Transport(redis.Transport):
    """What `redis://` means to Celery here; `config.celery` says so."""

    Channel = Channel
