"""Serves a daemon's figures to Prometheus. They are read from its counters at the time of each request."""

from collections.abc import Callable, Iterable
from typing import Any, Final

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from diode.errors import UsageError
from diode.formats.escape import escape
from diode.net.address import Address
from diode.process.event_hooks import EventHooks

Read = Callable[[], Iterable[Metric]]

RENAMED: Final = {  # new name: the one that it is exported under as well, until the next release
    "diode_receiver_slabs_spilled": "diode_receiver_slabs_parked",
    "diode_sender_padding_datagrams": "diode_sender_filler_datagrams",
}


class _Reader(Collector):
    def __init__(self, read: Read) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        for metric in self._read():
            yield metric
            if old := RENAMED.get(metric.name):
                yield _under(old, metric)


def _under(old: str, metric: Metric) -> Metric:
    """The same figures under an older name."""
    text = f"{metric.documentation} (the old name of {metric.name}, until the next release)"
    alias = Metric(old, text, metric.type)
    for sample in metric.samples:
        name = old + sample.name.removeprefix(metric.name)
        alias.add_sample(name, sample.labels, sample.value)
    return alias


def counter(name: str, text: str, values: "dict[str, int] | int", label: str = "") -> Metric:
    """A counter. When ``values`` is a dict, its keys are the values of the one label ``label``."""
    return _family(CounterMetricFamily, name, text, values, label)


def gauge(name: str, text: str, values: "dict[str, int] | int", label: str = "") -> Metric:
    """A gauge. When ``values`` is a dict, its keys are the values of the one label ``label``."""
    return _family(GaugeMetricFamily, name, text, values, label)


def _family(kind: Any, name: str, text: str, values: "dict[str, int] | int", label: str) -> Metric:
    if isinstance(values, int):
        family: Metric = kind(name, text, value=values)
        return family
    labelled = kind(name, text, labels=[label])
    for key, value in values.items():
        labelled.add_metric([escape(key)], value)
    return labelled  # type: ignore[no-any-return]


def event_hook_metrics(side: str, hooks: EventHooks) -> Iterable[Metric]:
    """What became of events that hooks are told (docs/hooks.md)."""
    name = f"diode_{side}_event_hooks"
    yield counter(f"{name}_ran", "Events that a hook was told, and took", hooks.told, "event")
    yield counter(f"{name}_failed", "Events at which a hook failed, or took too long", hooks.failed, "event")
    yield counter(f"{name}_left_out", "Events that no hook was told, because too many waited", hooks.left_out)
    yield gauge(f"{name}_waiting", "Events that wait for a hook", hooks.waiting)


def serve(listen: str, read: Read) -> Callable[[], None]:
    """Answer requests on ``listen`` from a thread; returns a function that stops it.

    Raises UsageError for a port in use.
    """
    address = Address.parse(listen)
    registry = CollectorRegistry()
    registry.register(_Reader(read))
    try:
        server, thread = start_http_server(address.port, address.host, registry)
    except OSError as error:
        raise UsageError(f"metrics.listen = {listen!r} cannot be used: {error.strerror}") from error

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
