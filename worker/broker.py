"""kombu's Redis transport, with two faults of its bookkeeping mended."""

from typing import Any

import redis
import structlog
from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

log = structlog.get_logger(__name__)


class _Deliveries(kombu_redis.QoS):  # type: ignore[misc]  # kombu has no annotations
    """Counts the messages in hand, here and in Redis, so that a message whose receiver dies is delivered again.

    kombu keeps counting a message whose acknowledgement failed because the broker was away. With one message at a time
    the worker then never asks for another, so it does not even notice that its connection is dead: it is alive and
    deaf until it is restarted (seen with kombu 5.7.0). Here such a message is out of our hands; the broker delivers it
    again after the visibility timeout, and a bell that rings twice does no harm.

    And when Redis answers but refuses to write, as it does when its memory is full, celery gives the worker up. Here it
    goes on: what is not noted in Redis is a bell, and lost bells are rung again by the sweep.
    """

    def append(self, message: Any, delivery_tag: Any) -> None:
        try:
            super().append(message, delivery_tag)
        except redis.ResponseError as error:
            _warn(error)
            virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: Any) -> None:
        try:
            super().ack(delivery_tag)
        except redis.ResponseError as error:
            _warn(error)
            virtual.QoS.ack(self, delivery_tag)
        except (redis.RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: Any, requeue: bool = False) -> None:
        try:
            super().reject(delivery_tag, requeue=requeue)
        except redis.ResponseError as error:
            _warn(error)
            virtual.QoS.ack(self, delivery_tag)
        except (redis.RedisError, OSError):
            virtual.QoS.ack(self, delivery_tag)
            raise

    def restore_visible(self, start: int = 0, num: int = 10, interval: int = 10) -> None:
        try:
            super().restore_visible(start, num, interval)
        except redis.ResponseError as error:
            _warn(error)


def _warn(error: redis.ResponseError) -> None:
    log.warning("broker.refused", error=type(error).__name__)


class _Channel(kombu_redis.Channel):  # type: ignore[misc]  # kombu has no annotations
    QoS = _Deliveries


class Transport(kombu_redis.Transport):  # type: ignore[misc]  # kombu has no annotations
    """Named by the setting `broker_transport` of every worker."""

    Channel = _Channel
