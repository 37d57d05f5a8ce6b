"""`thr_model_loading_slow`: fetching or reading the weights takes most of the start."""

from __future__ import annotations

from troubleshoot.causes.base import Cause, Judgement
from troubleshoot.evidence import Evidence
from troubleshoot.findings import Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.logs.facts import LogFacts


class ModelLoadingSlow(Cause):
    """Fetching or reading the weights dominates the start."""

    id = "thr_model_loading_slow"
    family = "throughput"
    title = "Fetching or reading the weights takes most of the start"
    needs = ("log: start-up lines",)
    slow_seconds = 120.0
    slow_shard_notices = 30
    consequences = frozenset({"crash_unrecognised_exception"})

    def judge(self, evidence: Evidence) -> Judgement:
        """By its giving up the wait; or by the engine's own times, its progress bars or its notices."""
        log = evidence.log
        if log is None:
            return self.not_evaluated()
        return (
            self._gave_up(evidence, log)
            or self._by_times(evidence, log)
            or self._by_bars(evidence, log)
            or self._by_notices(evidence, log)
            or (
                self.ruled_out("loading was quick")
                if log.has("model_loading_time", "weights_memory")
                else self.not_evaluated()
            )
        )

    def _gave_up(self, evidence: Evidence, log: LogFacts) -> Judgement | None:
        gave_up = log.all("startup_timeout")
        if not gave_up:
            return None
        return self.finding(
            Severity.CRITICAL,
            0.8,
            "The front end stopped waiting for the engine to start; slow loading of weights is the usual reason.",
            [evidence.quote(gave_up[0])],
            [
                Fix(
                    "VLLM_ENGINE_READY_TIMEOUT_S",
                    gave_up[0].fields.get("seconds"),
                    "longer",
                    "until loading is faster",
                ),
                *self._fixes(),
            ],
        )

    def _by_times(self, evidence: Evidence, log: LogFacts) -> Judgement | None:
        timed = [
            (event, seconds)
            for event in log.all("model_loading_time")
            for seconds in [self._seconds(event)]
            if seconds >= self.slow_seconds
        ]
        if not timed:
            return None
        event, seconds = max(timed, key=lambda pair: pair[1])
        rate = self._rate(event, seconds, evidence)
        return self.finding(
            Severity.WARNING,
            0.85,
            f"Loading took {seconds:.0f} s{f' ({rate:.2f} GiB/s)' if rate else ''}.",
            [evidence.quote(event)],
            self._fixes(),
        )

    def _by_bars(self, evidence: Evidence, log: LogFacts) -> Judgement | None:
        bars = [
            (event, seconds)
            for event in log.all("shard_progress")
            for seconds in [self._bar_seconds(event)]
            if seconds >= self.slow_seconds
        ]
        if not bars:
            return None
        event, seconds = bars[-1]
        return self.finding(
            Severity.WARNING,
            0.75,
            f"Reading the shards takes about {seconds:.0f} s by its progress bar.",
            [evidence.quote(event)],
            self._fixes(),
        )

    def _by_notices(self, evidence: Evidence, log: LogFacts) -> Judgement | None:
        waits = log.count("waiting_for_shards")
        if waits < self.slow_shard_notices:
            return None
        return self.finding(
            Severity.WARNING,
            0.6,
            f"The launcher reported {waits} times that it waits for a shard.",
            [evidence.quote(e) for e in log.all("waiting_for_shards")[-1:]],
            self._fixes(),
        )

    @staticmethod
    def _seconds(event: Event) -> float:
        return max(
            (
                value
                for name in ("load", "download", "model", "sglang", "shard")
                if (value := event.number(name)) is not None
            ),
            default=0.0,
        )

    @staticmethod
    def _bar_seconds(event: Event) -> float:
        """Elapsed plus remaining of a progress bar, "13:49<16:07"."""
        texts = (event.fields.get("elapsed", ""), event.fields.get("remaining", ""))
        if not all(texts):
            return 0.0
        return sum(float(part) * 60.0**place for text in texts for place, part in enumerate(reversed(text.split(":"))))

    @staticmethod
    def _rate(event: Event, seconds: float, evidence: Evidence) -> float | None:
        size = event.number("gib") or evidence.weights_gib
        return size / seconds if size else None

    @staticmethod
    def _fixes() -> list[Fix]:
        return [
            Fix(
                "weights",
                None,
                "on local NVMe, or cached on the node before the pod starts",
                "network storage is the usual bottleneck",
            ),
            Fix(
                "--load-format",
                None,
                "runai_streamer or fastsafetensors",
                "reads several files at once, straight to the GPU",
            ),
        ]
