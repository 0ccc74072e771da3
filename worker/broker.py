"""kombu's Redis transport, with one fault of its bookkeeping mended."""

from typing import Any

import redis
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual


class _Deliveries(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no annotations
    """Counts the messages in hand.

    kombu keeps counting a message whose acknowledgement failed because the broker was away. With one message at a time
    the worker then never asks for another, so it does not even notice that its connection is dead: it is alive and
    deaf until it is restarted (seen with kombu 5.7.0). Here such a message is out of our hands; the broker delivers it
    again after the visibility timeout, and a bell that rings twice does no harm.
    """

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        except (redis.RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        except (redis.RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise


class _Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no annotations
    QoS = _Deliveries


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no annotations
    """Named by the setting `broker_transport` of every worker."""

    Channel = _Channel
