"""Every threshold of the alerting rules: its unit in the name, and the reason for its value.

The `description` of a field is that reason: `inferwatch alerts explain` shows it. How long a condition must hold is a
threshold too (`..._for`), written as Prometheus writes durations.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from alerts.durations import Duration
from catalog.settings import Part

__all__ = ["Availability", "Efficiency", "Engine", "Gpu", "Monitoring", "Saturation", "Thresholds"]


class Availability(Part, frozen=True):
    """Whether a model is there at all."""

    unavailable_for: Annotated[
        Duration, Meta(description="Two minutes outlast a rolling restart of the last replica's endpoint, no more.")
    ] = "2m"
    answered_window: Annotated[
        Duration,
        Meta(description="A replica that has answered within a day can be down; one that never has is still starting."),
    ] = "1d"
    busy_window: Annotated[
        Duration,
        Meta(
            description="A model that vanished while it was busy stays missed for as long as a page may be overlooked."
        ),
    ] = "1h"
    traffic_dropped_ratio: Annotated[
        float, Meta(gt=0, lt=1, description="A fifth of the same hour last week is no ordinary quiet hour.")
    ] = 0.2
    traffic_floor_requests_per_second: Annotated[
        float, Meta(gt=0, description="Below a request in ten seconds, a fall is chance.")
    ] = 0.1
    traffic_dropped_for: Annotated[Duration, Meta(description="Longer than a client's deployment takes.")] = "15m"
    slo_bound_missing_for: Annotated[
        Duration, Meta(description="A release rolls out and is rolled back within half an hour; what stays is meant.")
    ] = "30m"


class Engine(Part, frozen=True):
    """The engine's process and pod."""

    stuck_window: Annotated[
        Duration, Meta(description="No step of a working engine takes five minutes, a prefill of 1M tokens included.")
    ] = "5m"
    stuck_for: Annotated[
        Duration, Meta(description="A health check stays green while an engine hangs, so nothing else will act.")
    ] = "2m"
    down_for: Annotated[Duration, Meta(description="Several missed scrapes, not one.")] = "3m"
    restarts_per_hour: Annotated[
        int, Meta(ge=1, description="One restart is a deployment or an accident; three in an hour are a pattern.")
    ] = 3
    crash_loop_restarts: Annotated[
        int, Meta(ge=1, description="More than two: loading a model leaves no room for a fourth try in a quarter hour.")
    ] = 2
    crash_loop_window: Annotated[
        Duration, Meta(description="Within it, restarts follow one another before Kubernetes slows them down.")
    ] = "15m"
    crash_loop_back_off_window: Annotated[
        Duration,
        Meta(
            description="With a model that loads for minutes and five minutes of back-off, three restarts take longer."
        ),
    ] = "1h"
    oom_killed_window: Annotated[
        Duration, Meta(description="The reason stays until the next end; only one beside a new restart is news.")
    ] = "10m"
    counted_for: Annotated[
        Duration, Meta(description="Restarts are counted over a window; a minute more only lets a reading be doubted.")
    ] = "1m"
    cold_start_seconds: Annotated[
        float, Meta(gt=0, description="Loading a large model from a network disk takes up to a quarter of an hour.")
    ] = 900
    pending_for: Annotated[Duration, Meta(description="A node autoscaler needs some minutes to add a GPU node.")] = (
        "10m"
    )
    metrics_missing_for: Annotated[
        Duration, Meta(description="An engine shows its series from its start, some only after the first request.")
    ] = "15m"


class Saturation(Part, frozen=True):
    """Demand against capacity. All are relative: an absolute queue is nothing for 64 replicas and death for one."""

    queue_waiting_per_running: Annotated[
        float, Meta(gt=0, description="Half as many waiting as running: a new request waits for a third of a batch.")
    ] = 0.5
    queue_floor_requests: Annotated[
        float, Meta(ge=0, description="A few waiting requests are the scheduler's ordinary work.")
    ] = 4
    queue_growing_window: Annotated[
        Duration, Meta(description="A queue that a burst left shrinks within minutes; one that grows for 15 does not.")
    ] = "15m"
    queue_growing_for: Annotated[Duration, Meta(description="Longer than a replica takes to be scheduled.")] = "10m"
    queue_time_share_of_ttft_target: Annotated[
        float, Meta(gt=0, le=1, description="When queueing alone takes half of the target, prefill has no room left.")
    ] = 0.5
    queue_time_for: Annotated[Duration, Meta(description="Ten minutes tell a lack of capacity from a burst.")] = "10m"
    kv_cache_usage_ratio: Annotated[
        float, Meta(gt=0, le=1, description="A full cache is meant to be; only with requests waiting is it the limit.")
    ] = 0.95
    kv_cache_window: Annotated[
        Duration, Meta(description="The mean over ten minutes bridges gaps between batches.")
    ] = "10m"
    kv_cache_for: Annotated[Duration, Meta(description="The window has bridged the gaps; this one asks for more.")] = (
        "10m"
    )
    preemptions_per_request_ratio: Annotated[
        float, Meta(gt=0, description="Every fifth request computed twice costs more than the batch it makes room for.")
    ] = 0.2
    preemption_floor: Annotated[
        float, Meta(ge=1, description="Fewer preemptions than these in ten minutes cost nothing that is felt.")
    ] = 20
    preemption_window: Annotated[Duration, Meta(description="Long enough for requests of minutes to finish in it.")] = (
        "10m"
    )
    preemption_for: Annotated[Duration, Meta(description="A burst's preemptions end with it.")] = "5m"
    autoscaler_at_max_for: Annotated[
        Duration, Meta(description="The autoscaler has done what it may, and the queue still grows.")
    ] = "15m"


class Efficiency(Part, frozen=True):
    """Quality of answers, balance between replicas, and money."""

    baseline_window: Annotated[
        Duration, Meta(description="A day holds the quiet hours and the busy ones; a week would hold old releases.")
    ] = "1d"
    baseline_history: Annotated[
        Duration, Meta(description="With less than six hours of traffic in it, a day is no baseline.")
    ] = "6h"
    recent_window: Annotated[
        Duration, Meta(description="What is compared with the baseline: an hour evens out single clients.")
    ] = "1h"
    shift_for: Annotated[Duration, Meta(description="A new replica's empty cache fills within half an hour.")] = "30m"
    abort_ratio: Annotated[
        float, Meta(gt=0, lt=1, description="Some clients always leave; one in ten leave because of the wait.")
    ] = 0.1
    abort_window: Annotated[Duration, Meta(description="Long enough for requests of minutes to end in it.")] = "10m"
    abort_for: Annotated[Duration, Meta(description="One client that cancels a batch is over sooner.")] = "10m"
    abort_floor_requests: Annotated[
        float, Meta(ge=1, description="Of fewer requests than these in ten minutes a share says nothing.")
    ] = 20
    truncation_times_baseline: Annotated[
        float, Meta(gt=1, description="Twice yesterday's share is a change of prompts or of a limit, not noise.")
    ] = 2
    truncation_floor_ratio: Annotated[
        float, Meta(gt=0, lt=1, description="Twice of nearly nothing is nearly nothing.")
    ] = 0.05
    truncation_floor_requests: Annotated[
        float, Meta(ge=1, description="Of fewer requests than these in an hour a share says nothing.")
    ] = 100
    prefix_hit_share_of_baseline: Annotated[
        float,
        Meta(gt=0, lt=1, description="Half of a model's own rate of yesterday; an absolute rate fits no traffic."),
    ] = 0.5
    prefix_floor_baseline_ratio: Annotated[
        float, Meta(gt=0, lt=1, description="Where less than a tenth was ever found, there is nothing to lose.")
    ] = 0.1
    prefix_floor_tokens_per_second: Annotated[
        float, Meta(gt=0, description="With less looked up a second, one client makes the rate.")
    ] = 100
    spec_decode_share_of_baseline: Annotated[
        float,
        Meta(gt=0, lt=1, description="Half of yesterday's acceptance: the traffic no longer fits the draft model."),
    ] = 0.5
    spec_decode_accepted_length: Annotated[
        float, Meta(ge=1, description="A draft round that yields 1.2 tokens costs more than it saves.")
    ] = 1.2
    spec_decode_floor_tokens_per_second: Annotated[
        float, Meta(gt=0, description="With fewer drafted a second, one client's prompt makes the rate.")
    ] = 10
    imbalance_times_peers: Annotated[
        float,
        Meta(
            gt=1,
            description="Three times the mean of its peers is more than prefix affinity brings about. "
            "Of the mean of all, three replicas could never pass three times.",
        ),
    ] = 3
    imbalance_floor_requests: Annotated[
        float, Meta(gt=0, description="With less than a request in flight a replica, one client is the imbalance.")
    ] = 1
    imbalance_for: Annotated[Duration, Meta(description="Long streams keep replicas apart for minutes.")] = "30m"
    latency_outlier_times_median: Annotated[
        float, Meta(gt=1, description="Twice its peers' median: the replica, its GPU or its node differs.")
    ] = 2
    latency_outlier_replicas: Annotated[
        int, Meta(ge=3, description="Of two replicas, nobody can say which is the odd one.")
    ] = 3
    latency_outlier_floor_seconds: Annotated[
        float, Meta(gt=0, description="Twice of what nobody notices is not noticed either.")
    ] = 0.2
    latency_outlier_floor_requests: Annotated[
        float, Meta(ge=1, description="Of fewer requests than these in a quarter of an hour, one long prompt is p95.")
    ] = 60
    latency_outlier_for: Annotated[Duration, Meta(description="A replica that warms up is even within minutes.")] = (
        "15m"
    )
    slow_replica_share_of_baseline: Annotated[
        float,
        Meta(gt=0, lt=1, description="Half the speed a sequence of yesterday at a like batch: the hardware changed."),
    ] = 0.5
    slow_replica_batch_times: Annotated[
        float, Meta(gt=1, description="Within a half more or a third less, a sequence's speed changes little.")
    ] = 1.5
    slow_replica_floor_requests: Annotated[
        float, Meta(gt=0, description="Fewer in flight come and go between two scrapes, and the gauge misses some.")
    ] = 2
    slow_replica_history: Annotated[
        Duration, Meta(description="An hour at a like batch is enough to know a replica's speed.")
    ] = "1h"
    slow_replica_for: Annotated[Duration, Meta(description="A throttled GPU or a degraded link stays so.")] = "15m"
    idle_activity_ratio: Annotated[
        float,
        Meta(gt=0, lt=1, description="Below 5 % over hours, kernels other than a server's own heartbeat are absent."),
    ] = 0.05
    idle_window: Annotated[Duration, Meta(description="Six hours hold a night, not a lunch break.")] = "6h"
    role_imbalance_times: Annotated[
        float, Meta(gt=1, description="One role three times as full as the other wastes the other's GPUs.")
    ] = 3
    role_imbalance_window: Annotated[
        Duration, Meta(description="Prefill queues come in bursts; ten minutes even them out.")
    ] = "10m"
    role_imbalance_for: Annotated[Duration, Meta(description="The window has bridged the bursts.")] = "10m"


class Gpu(Part, frozen=True):
    """The GPUs themselves."""

    lost_for: Annotated[Duration, Meta(description="A driver reset answers again within a minute or two.")] = "5m"
    lost_window: Annotated[
        Duration,
        Meta(description="What a node had within six hours it should have; a GPU taken out is forgotten then."),
    ] = "6h"
    xid_window: Annotated[Duration, Meta(description="An event stays in force as long as one needs to read it.")] = (
        "15m"
    )
    remapped_rows_window: Annotated[
        Duration, Meta(description="More rows within a week: the memory is wearing out.")
    ] = "7d"
    memory_fault_for: Annotated[
        Duration, Meta(description="A fault of memory stays; a second evaluation keeps a garbled sample out.")
    ] = "1m"
    slowdown_ratio: Annotated[
        float, Meta(gt=0, lt=1, description="Clocks held down for a tenth of the time are felt; a blink is not.")
    ] = 0.1
    thermal_for: Annotated[Duration, Meta(description="A fan needs a minute; five are a fault of cooling.")] = "5m"
    thermal_clock_share: Annotated[
        float, Meta(gt=0, lt=1, description="A fifth under the day's best clock, hot and busy, without a reason shown.")
    ] = 0.8
    thermal_celsius: Annotated[float, Meta(gt=0, description="Data-centre GPUs slow down from 83 to 87 degrees.")] = 80
    thermal_utilisation_percent: Annotated[
        float, Meta(gt=0, le=100, description="An idle GPU lowers its clock by itself.")
    ] = 80
    power_brake_for: Annotated[Duration, Meta(description="A brake of seconds is a spike of a neighbour.")] = "5m"
    nvlink_errors_per_hour: Annotated[
        float, Meta(ge=0, description="Links correct single errors by replay; a steady rate is a cable or a seat.")
    ] = 10
    pcie_replays_per_hour: Annotated[float, Meta(ge=0, description="A sound link replays a few a day.")] = 100


class Monitoring(Part, frozen=True):
    """The monitoring itself."""

    exporter_down_for: Annotated[Duration, Meta(description="A DaemonSet's rolling update takes less a node.")] = "5m"
    exporter_remembered_window: Annotated[
        Duration, Meta(description="Longer than a night's ticket waits; a node that was taken away is forgotten after.")
    ] = "6h"
    exporter_stale_seconds: Annotated[
        float, Meta(gt=0, description="Twenty collections at the default interval: the source hangs.")
    ] = 120
    exporter_stale_for: Annotated[
        Duration, Meta(description="The kubelet and the driver are restarted within minutes when nodes are maintained.")
    ] = "5m"
    fields_missing_for: Annotated[
        Duration, Meta(description="Fields that need a GPM sample or a first event come within minutes.")
    ] = "15m"
    rule_failures_window: Annotated[
        Duration, Meta(description="Ten evaluations at the default interval: a failing rule fails in each of them.")
    ] = "5m"
    rule_failures_for: Annotated[Duration, Meta(description="One failure is a restart of Prometheus.")] = "5m"
    watchdog_for: Annotated[Duration, Meta(description="It always holds; the shortest wait that there is.")] = "1m"


class Thresholds(Part, frozen=True):
    """All thresholds, by what they watch."""

    availability: Availability = Availability()
    engine: Engine = Engine()
    saturation: Saturation = Saturation()
    efficiency: Efficiency = Efficiency()
    gpu: Gpu = Gpu()
    monitoring: Monitoring = Monitoring()
