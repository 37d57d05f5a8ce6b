"""Requests that wait: for KV cache, for a slot, for compute, or that are refused or given up."""

from __future__ import annotations

import re

from troubleshoot.capacity import mean_resident_tokens, safe_max_num_seqs
from troubleshoot.causes.advice import change, current, spelling
from troubleshoot.causes.base import Cause, Judgement, times
from troubleshoot.evidence import Evidence
from troubleshoot.findings import EvidenceItem, Fix, Severity
from troubleshoot.logs.events import Event
from troubleshoot.moments import Moment
from troubleshoot.serving import Serving

_NEEDS_SERVING = ("metrics: two scrapes under load", "log: statistics lines")
MIN_WAITING_SHARE = 0.5
"""Below this share of the moments, waiting is what a scheduler does between two steps."""
MIN_PREEMPTION_RATE = 0.05
"""Preemptions per second: each recomputes a whole request. One in 20 s is the first that shows in latency."""
CRITICAL_PREEMPTION_RATE = 1.0
MIN_PREEMPTIONS = 10
"""Fewer are an episode: a burst of long answers that ended together."""
MIN_PREEMPTED_SHARE = 0.25
"""Preemptions for each finished request: below this, requests wait for KV cache more than they lose it."""


def queue_is_significant(serving: Serving) -> bool:
    """Requests wait most of the time, and long enough to be felt.

    One request waiting for the batch before it (Triton's dynamic batching, continuous batching at light load) is no
    queue. Where queue time is measured it must be 0.3 s or more.
    """
    waiting = serving.waiting_mean
    if waiting is None or waiting < 1 or serving.waiting_share < MIN_WAITING_SHARE:
        return False
    queue = serving.mean_of("llm_request_queue_seconds")
    return queue is None or queue >= 0.3 or (serving.waiting_max or 0) >= 10


def ranks(serving: Serving) -> int:
    """Data-parallel engines (and servers) whose requests are added up: each has limits of its own."""
    if serving.timeline is None:
        return 1
    return max(1, len(serving.timeline.all("llm_requests_running")))


def mostly_deferred(serving: Serving) -> bool:
    """Most waiting requests wait for something else than room: a compiled schema, an adapter, a KV transfer.

    vLLM tells since 0.20 (`num_requests_waiting_by_reason`).
    """
    if serving.timeline is None:
        lines = serving.moments
        return sum(moment.deferred or 0 for moment in lines) > 2 * sum(moment.waiting or 0 for moment in lines)
    deferred = sum(serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="deferred"))
    capacity = sum(serving.timeline.values("llm_requests_waiting_by_reason", sum, serving.window, reason="capacity"))
    return deferred > 2 * capacity and deferred > 0


def tokens_a_request(evidence: Evidence) -> float | None:
    """Mean KV tokens that a running request holds; None where lengths are unknown."""
    serving = evidence.serving
    prompt, output = (serving.mean_prompt_tokens, serving.mean_generation_tokens) if serving else (None, None)
    if prompt is None or output is None:
        return None
    return mean_resident_tokens(prompt, output) or None


def kv_fixes(evidence: Evidence) -> list[Fix]:
    """More KV cache: undo an override, raise the memory share, halve the bytes, more GPUs."""
    fixes: list[Fix] = []
    override = evidence.settings.number("num_gpu_blocks_override")
    memory = evidence.log.memory if evidence.log else None
    if override:
        profiled = memory.kv_tokens_profiled if memory else None
        effect = (
            f"the GPU holds {profiled:,} tokens".replace(",", " ")
            if profiled
            else "the engine then uses what it measured"
        )
        fixes.append(
            Fix(
                "--num-gpu-blocks-override",
                int(override),
                "remove",
                f"it limits the KV cache to {evidence.kv_capacity_tokens or int(override) * 16} tokens",
                effect,
            )
        )
    per_request, capacity = tokens_a_request(evidence), evidence.kv_capacity_tokens
    seqs = current(evidence, "max_num_seqs")
    if per_request and capacity:
        safe = safe_max_num_seqs(capacity, per_request)
        running = evidence.serving.running_max if evidence.serving else None
        if not isinstance(seqs, int) or safe < seqs:
            fixes += change(
                evidence,
                "max_num_seqs",
                safe,
                f"{capacity} tokens / {per_request:.0f} mean tokens a request",
                f"requests queue instead of being preempted (up to {running:.0f} ran at once)"
                if running
                else "requests queue instead of being preempted",
            )
    elif evidence.serving and evidence.serving.running_mean:
        fixes += change(
            evidence,
            "max_num_seqs",
            max(1, int(evidence.serving.running_mean)),
            "what ran on average with the cache full",
            "requests queue instead of being preempted",
        )
    if not override:
        utilization = current(evidence, "gpu_memory_utilization")
        if not isinstance(utilization, int | float) or utilization < 0.9:
            fixes += change(
                evidence,
                "gpu_memory_utilization",
                0.95 if isinstance(utilization, int | float) else "higher, up to 0.95",
                "MORE KV cache, if the card is free",
            )
    if not str(current(evidence, "kv_cache_dtype") or "").startswith("fp8") and not evidence.on_cpu:
        fixes += change(evidence, "kv_cache_dtype", "fp8", "about twice the tokens in the same memory")
    if not override and not evidence.on_cpu:
        fixes += change(
            evidence,
            "tensor_parallel_size",
            evidence.tensor_parallel * 2,
            "more memory beside the weights, or add replicas",
            "",
            evidence.tensor_parallel,
        )
    return fixes


def serving_proof(evidence: Evidence, serving: Serving) -> list[EvidenceItem]:
    """Queue, KV cache and time to first token of the window."""
    proof: list[EvidenceItem] = []
    if serving.waiting_mean is not None:
        proof.append(evidence.metric("llm_requests_waiting", round(serving.waiting_mean, 1), "requests", "mean"))
    if serving.running_mean is not None:
        proof.append(evidence.metric("llm_requests_running", round(serving.running_mean, 1), "requests", "mean"))
    if serving.kv_max is not None:
        proof.append(evidence.metric("llm_kv_cache_usage_ratio", round(serving.kv_max, 3), "ratio", "highest"))
    first = serving.histogram("llm_time_to_first_token_seconds")
    if first and (p95 := first.quantile(0.95)) is not None:
        proof.append(evidence.metric("llm_time_to_first_token_seconds", round(p95, 3), "seconds", "p95"))
    if serving.source == "log" and evidence.log:
        inside = [s for s in evidence.log.statistics if s.waiting > 0 or s.running > 0]
        proof += [evidence.quote(line.event) for line in inside[-2:]]
    return proof


def describe(serving: Serving) -> str:
    """ "KV use 99 %, 22 running, 36 waiting, TTFT p95 17.0 s of which 95 % is queue"."""
    parts = []
    if serving.kv_while_waiting is not None:
        parts.append(f"KV cache use {serving.kv_while_waiting:.0%}")
    if serving.running_mean is not None:
        parts.append(f"{serving.running_mean:.0f} running")
    if serving.waiting_mean is not None:
        parts.append(f"{serving.waiting_mean:.0f} waiting")
    first = serving.histogram("llm_time_to_first_token_seconds")
    if first and (p95 := first.quantile(0.95)) is not None:
        share = serving.queue_share_of_ttft
        parts.append(f"TTFT p95 {p95:.1f} s" + (f" ({share:.0%} of its mean is queue)" if share is not None else ""))
    return ", ".join(parts)


class PreemptionThrash(Cause):
    """Running requests lose their KV cache to others and are computed again."""

    id = "thr_preemption_thrash"
    family = "throughput"
    title = "The KV cache is too small for this load: requests are preempted and recomputed"
    needs = ("metrics: two scrapes (V1 never logs preemptions)",)
    consequences = frozenset(
        {
            "ttft_queueing",
            "thr_small_batch_or_max_num_seqs",
            "thr_client_disconnects",
            "ttft_decode_starvation",
            "ttft_long_prefill",
            "thr_requests_rejected_queue_full",
        }
    )

    def judge(self, evidence: Evidence) -> Judgement:
        """By the counter, else by V0's and SGLang's own lines, else by statistics lines that show it happen."""
        serving = evidence.serving
        if serving and serving.preemption_rate is not None:
            return self._by_counter(evidence, serving)
        logged = evidence.log.all("preemption") if evidence.log else []
        if logged:
            return self._by_lines(evidence, logged)
        seen = evidence.log_serving
        falls = preempting_moments(seen) if seen else []
        if seen and falls:
            queued_anyway = all((before.waiting or 0) > 0 for before, _ in falls)
            return self._holds(
                evidence,
                Severity.WARNING,
                0.45 if queued_anyway else 0.75,
                f"With the KV cache full, requests went from running back to waiting {times(len(falls))}: {describe(seen)}.",
            )
        return self.not_evaluated()

    def _by_counter(self, evidence: Evidence, serving: Serving) -> Judgement:
        rate, number = serving.preemption_rate or 0.0, serving.preemptions or 0.0
        if number < 1:
            return self.ruled_out(f"no preemption in {serving.seconds:.0f} s")
        if rate < MIN_PREEMPTION_RATE or number < 3:
            return self.ruled_out(f"only {number:.0f} preemptions in {serving.seconds:.0f} s")
        critical = rate >= CRITICAL_PREEMPTION_RATE and number >= MIN_PREEMPTIONS
        finished = serving.increase("llm_requests_total") or 0.0
        few = not critical and (number < MIN_PREEMPTED_SHARE * finished or number < MIN_PREEMPTIONS)
        if number < MIN_PREEMPTIONS and (serving.waiting_mean or 0) < 1:
            return self.ruled_out(f"only {number:.0f} preemptions, and no request waits")
        text = f"{rate:.1f} preemptions a second ({number:.0f} in {serving.seconds:.0f} s): {describe(serving)}."
        capacity = evidence.kv_capacity_tokens
        if capacity:
            text += f" The KV cache holds {capacity} tokens."
        return self._holds(
            evidence,
            Severity.CRITICAL if critical else Severity.WARNING,
            0.97 if critical else 0.45 if few else 0.88,
            text,
            [evidence.metric("llm_preemptions_total", number, "increase")],
        )

    def _by_lines(self, evidence: Evidence, logged: list[Event]) -> Judgement:
        totals = [
            value for event in logged for name in ("total", "retracted") if (value := event.number(name)) is not None
        ]
        number = max([*totals, evidence.log.count("preemption") if evidence.log else 0])
        return self._holds(
            evidence,
            Severity.WARNING,
            0.9,
            f"The engine reports preemptions for lack of KV cache ({number:.0f} so far).",
            [evidence.quote(event) for event in logged[:2]],
        )

    def _holds(
        self,
        evidence: Evidence,
        severity: Severity,
        sure: float,
        text: str,
        proof: list[EvidenceItem] | None = None,
    ) -> Judgement:
        serving = evidence.serving
        limits = (
            [evidence.quote(event) for event in evidence.log.all("kv_override", "kv_tokens")[-2:]]
            if evidence.log
            else []
        )
        return self.finding(
            severity,
            sure,
            text,
            [*(proof or []), *(serving_proof(evidence, serving) if serving else []), *limits],
            kv_fixes(evidence),
        )


def preempting_moments(serving: Serving) -> list[tuple[Moment, Moment]]:
    """Neighbouring moments between which, with the KV cache nearly full, requests moved from running to waiting."""
    found = []
    for before, after in zip(serving.all_moments, serving.all_moments[1:], strict=False):
        full = max(before.kv_usage_ratio or 0, after.kv_usage_ratio or 0) >= 0.97
        fell = (after.running or 0) < (before.running or 0)
        rose = (after.waiting or 0) > (before.waiting or 0)
        if full and fell and rose:
            found.append((before, after))
    return found


class SequenceCap(Cause):
    """The limit of sequences at once is reached while the KV cache has room."""

    id = "thr_small_batch_or_max_num_seqs"
    family = "throughput"
    title = "The limit of concurrent sequences is reached while the KV cache has room"
    needs = _NEEDS_SERVING
    consequences = frozenset({"ttft_queueing", "thr_client_disconnects"})
    min_deferred = 3

    def judge(self, evidence: Evidence) -> Judgement:
        """Requests wait, running is pinned at a constant, the cache is clearly below its limit."""
        serving = evidence.serving
        deferred = evidence.log.all("slot_deferred") if evidence.log else []
        if (serving is None or serving.source == "log") and len(deferred) >= self.min_deferred:
            return self._by_slots(evidence, deferred)
        if serving is None:
            return self.not_evaluated()
        if not queue_is_significant(serving):
            return self.ruled_out("requests do not wait")
        if mostly_deferred(serving):
            return self.ruled_out("what waits is deferred, not short of a slot")
        one_limit = self._limit(evidence)
        limit = one_limit * ranks(serving) if one_limit else None
        pinned = serving.pinned_at()
        if pinned is None and limit and (serving.running_max or 0) >= limit and serving.waiting_share >= 0.9:
            # Short requests: a scrape often falls between two of them, so the gauge reads below the cap it touches.
            pinned = limit
        if pinned is None:
            top = serving.running_max
            return (
                self.ruled_out(f"running is not pinned (up to {top:.0f})")
                if top is not None
                else self.not_evaluated("metrics: running requests")
            )
        if evidence.kv_is_full:
            return self.ruled_out(f"the KV cache is full ({serving.kv_while_waiting:.0%})")
        if limit and pinned < 0.9 * limit:
            return self.ruled_out(f"running {pinned:.0f} is below the cap of {limit:.0f}")
        if evidence.kv_is_plentiful is False:
            return self.ruled_out(f"the KV cache is nearly full ({serving.kv_while_waiting:.0%})")
        sure = 0.95 if limit else 0.75
        if evidence.kv_is_plentiful is None:
            sure -= 0.1
        why = f"{pinned:.0f} requests run, never more{f' (the cap is {limit:.0f})' if limit else ''}: {describe(serving)}."
        critical = (serving.waiting_mean or 0) >= 2 * pinned
        return self.finding(
            Severity.CRITICAL if critical else Severity.WARNING,
            sure,
            why,
            serving_proof(evidence, serving),
            self._fixes(evidence, serving, pinned / ranks(serving), one_limit),
        )

    def _by_slots(self, evidence: Evidence, deferred: list[Event]) -> Judgement:
        slots = self._limit(evidence)
        text = f"Requests found no free slot {times(evidence.log.count('slot_deferred') if evidence.log else 0)} and were deferred{f'; the server has {slots:.0f}' if slots else ''}."
        fixes = change(
            evidence,
            "max_num_seqs",
            "higher",
            "slots decode together; --ctx-size must grow with them, each slot gets its share",
            "",
            int(slots) if slots else None,
        )
        return self.finding(Severity.WARNING, 0.7, text, [evidence.quote(event) for event in deferred[:2]], fixes)

    @staticmethod
    def _limit(evidence: Evidence) -> float | None:
        value = current(evidence, "max_num_seqs")
        if isinstance(value, int | float):
            return float(value)
        log = evidence.log
        slots = log.last("llamacpp_slots") if log else None
        if slots and (number := slots.number("slots")) is not None:
            return number
        limits = log.last("sglang_limits") if log else None
        if limits and (number := limits.number("running")) is not None:
            return number
        exposed = evidence.metrics.timeline.last("llm_requests_running_limit", max) if evidence.metrics else None
        return exposed or None

    @staticmethod
    def _fixes(evidence: Evidence, serving: Serving, pinned: float, limit: float | None) -> list[Fix]:
        demand = int(pinned + (serving.waiting_mean or 0) / ranks(serving))
        per_request, capacity = tokens_a_request(evidence), evidence.kv_capacity_tokens
        wanted = max(int(pinned) + 1, -(-demand // 8) * 8)
        why = f"{demand} requests were there on average"
        if per_request and capacity:
            safe = safe_max_num_seqs(0.9 * capacity, per_request)
            wanted = max(int(pinned) + 1, min(wanted, safe))
            why += (
                f"; the KV cache holds about {safe} ({capacity} tokens / {per_request:.0f} a request, 10 % kept free)"
            )
        before = int(limit or pinned)
        if evidence.engine == "llamacpp":
            context = evidence.log.last("llamacpp_slots") if evidence.log else None
            per_slot = context.number("context") if context else None
            total = f"; --ctx-size must grow with it, each slot gets its share{f' ({per_slot:.0f} tokens now)' if per_slot else ''}"
            return change(evidence, "max_num_seqs", wanted, why + total, "more sequences share a decode step", before)
        fixes = change(
            evidence,
            "max_num_seqs",
            wanted,
            why,
            "more sequences share a decode step; each gets a little slower",
            before,
        )
        fixes.append(Fix("replicas", None, "more", "where latency of running requests must not grow"))
        return fixes


class Queueing(Cause):
    """Demand exceeds what the server does at its limits."""

    id = "ttft_queueing"
    family = "ttft"
    title = "Requests wait before their prefill: demand exceeds what this server does"
    needs = _NEEDS_SERVING
    consequences = frozenset({"thr_client_disconnects"})

    def judge(self, evidence: Evidence) -> Judgement:
        """Requests wait most of the time. Which limit they wait for goes into the explanation."""
        serving = evidence.serving
        if serving is None:
            return self.not_evaluated()
        if serving.waiting_mean is None:
            return self.not_evaluated("metrics: waiting requests")
        if serving.waiting_mean == 0:
            return self.ruled_out("no request waits")
        if mostly_deferred(serving):
            return self.ruled_out("what waits is deferred, not short of capacity")
        if not queue_is_significant(serving):
            return self.ruled_out(f"few requests wait, and briefly (mean {serving.waiting_mean:.1f})")
        if serving.stall and sum(moment.seconds for moment in serving.stall) >= 0.5 * serving.seconds:
            return self.ruled_out("the engine makes no steps: see hang_engine_stuck")
        return self.finding(
            self._severity(serving),
            self._sure(serving),
            f"{self._reason(evidence)}: {describe(serving)}.",
            serving_proof(evidence, serving),
            self._fixes(evidence),
        )

    @staticmethod
    def _severity(serving: Serving) -> Severity:
        running = serving.running_mean or 1.0
        return Severity.CRITICAL if (serving.waiting_mean or 0) >= 2 * running else Severity.WARNING

    @staticmethod
    def _sure(serving: Serving) -> float:
        return 0.88 if serving.source == "metrics" else 0.8

    @staticmethod
    def _reason(evidence: Evidence) -> str:
        if evidence.kv_is_full:
            return "Requests wait for KV cache"
        if evidence.serving and evidence.serving.pinned_at() is not None:
            return "Every slot is taken"
        return "The engine is busy with the requests it has"

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        fixes = kv_fixes(evidence) if evidence.kv_is_full or evidence.kv_is_plentiful is False else []
        fixes = [fix for fix in fixes if fix.setting != spelling(evidence, "max_num_seqs")]
        fixes.append(Fix("replicas", None, "more", "demand exceeds one server"))
        fixes.append(
            Fix(
                "admission control at the edge",
                None,
                "refuse early (429) when the queue is long",
                "a refused request can be retried elsewhere, a queued one only waits",
            )
        )
        return fixes


class RequestsRejected(Cause):
    """Requests are refused because a queue limit is reached."""

    id = "thr_requests_rejected_queue_full"
    family = "throughput"
    title = "Requests are refused: the server's queue limit or queue timeout is reached"
    needs = ("log: engine output", "metrics: two scrapes with rejection counters")
    consequences = frozenset({"ttft_queueing", "crash_backend_request_error", "thr_small_batch_or_max_num_seqs"})

    def judge(self, evidence: Evidence) -> Judgement:
        """By the counter and by the lines: Triton counts only timeouts and logs only the full queue."""
        counted = self._counted(evidence)
        events = self._events(evidence)
        logged = self._logged(evidence, events)
        if not counted and not logged:
            if evidence.log is None and (evidence.metrics is None or counted is None):
                return self.not_evaluated()
            return self.ruled_out("no request was refused")
        proof: list[EvidenceItem] = (
            [evidence.metric("llm_requests_rejected_total", counted, "increase")] if counted else []
        )
        proof += [evidence.quote(event) for event in events[:2]]
        parts = []
        if logged:
            parts.append(f"{logged:,} refused in the log".replace(",", " "))
        if counted:
            parts.append(f"{counted:.0f} counted in the window")
        limits = self._limits(evidence)
        return self.finding(
            Severity.CRITICAL if logged + (counted or 0) >= 20 else Severity.WARNING,
            0.93 if events or counted else 0.7,
            f"{' and '.join(parts)}: more arrives than the queue may hold{f' ({limits})' if limits else ''}.",
            proof,
            self._fixes(evidence),
        )

    @staticmethod
    def _counted(evidence: Evidence) -> float | None:
        metrics = evidence.metrics
        if metrics is None or metrics.timeline.window is None:
            return None
        return metrics.timeline.increase("llm_requests_rejected_total", metrics.timeline.window)

    @staticmethod
    def _events(evidence: Evidence) -> list[Event]:
        if evidence.log is None:
            return []
        own = [
            e
            for e in evidence.log.all("request_rejected")
            if not re.search(r"huggingface|hf\.co|hub", e.message, re.IGNORECASE)
        ]
        access = [
            e
            for e in evidence.log.all("http_429_503")
            if e.fields.get("method", "POST") == "POST"
            and not re.search(r"/health|/ready|/live|/metrics|/ping", e.fields.get("path", ""))
        ]
        return [*own, *access]

    @staticmethod
    def _logged(evidence: Evidence, events: list[Event]) -> int:
        log = evidence.log
        if log is None or not events:
            return 0
        kept = {"request_rejected", "http_429_503"} & {event.signature for event in events}
        return max(log.count(name) for name in kept)

    @staticmethod
    def _limits(evidence: Evidence) -> str:
        if evidence.log is None:
            return ""
        values = [
            *(
                f"max_queue_size {e.fields['size']}"
                for e in evidence.log.all("triton_queue_limit")
                if e.fields.get("size")
            ),
            *(
                f"queue timeout {int(e.fields['timeout']) / 1e6:g} s"
                for e in evidence.log.all("triton_queue_limit")
                if e.fields.get("timeout")
            ),
        ]
        return ", ".join(dict.fromkeys(values))

    @staticmethod
    def _fixes(evidence: Evidence) -> list[Fix]:
        fixes = [
            Fix(
                "replicas",
                None,
                "more, or more instances of the model",
                "the queue is full because work arrives faster than it is done",
            )
        ]
        if evidence.engine == "triton":
            fixes.append(
                Fix(
                    "config.pbtxt: instance_group count",
                    None,
                    "higher, where the device has room",
                    "more batches at once",
                )
            )
            fixes.append(
                Fix(
                    "config.pbtxt: max_queue_size",
                    None,
                    "higher only within the latency objective",
                    "a longer queue trades refusals for waiting",
                )
            )
        elif evidence.engine in ("", "vllm"):
            fixes += change(
                evidence,
                "max_num_queued_reqs",
                "higher only within the latency objective",
                "a longer queue trades refusals for waiting",
            )
        elif evidence.engine == "tgi":
            fixes.append(
                Fix(
                    "--max-concurrent-requests",
                    evidence.settings.get("max_concurrent_requests"),
                    "higher only within the latency objective",
                    "requests beyond it are answered 429",
                )
            )
        elif evidence.engine == "sglang":
            fixes.append(
                Fix(
                    "--max-queued-requests",
                    None,
                    "higher only within the latency objective",
                    "requests beyond it are refused",
                )
            )
        fixes.append(
            Fix(
                "clients",
                None,
                "retry with exponential back-off and jitter",
                "at once repeated, refused requests keep the queue full",
            )
        )
        return fixes


class ClientDisconnects(Cause):
    """Clients give up before their answer is complete."""

    id = "thr_client_disconnects"
    family = "throughput"
    title = "Clients give up before their answer is complete; the work done for them is lost"
    needs = ("metrics: two scrapes with request counters", "log: abort lines")

    def judge(self, evidence: Evidence) -> Judgement:
        """Aborts where they are counted; else first tokens against finished requests (vLLM 0.32 counts no abort)."""
        serving = evidence.serving
        if serving and serving.timeline:
            judged = self._by_counters(evidence, serving)
            if judged is not None:
                return judged
        log = evidence.log
        closed = [e for e in log.all("http_4xx") if e.fields.get("status") == "499"] if log else []
        if log and len(closed) >= 3:
            return self._holds(
                evidence,
                0.8,
                f"At least {len(closed)} requests were closed by the client before the answer (status 499 of the proxy).",
                [evidence.quote(e) for e in closed[:3]],
            )
        gone = log.count("client_gone") - log.count("context_length_error") if log else 0
        if log and gone >= 3 and not log.has("engine_dead_consequence", "engine_process_died", "shutdown"):
            finished = log.count("request_finished")
            if finished and gone < 0.2 * (gone + finished):
                return self.ruled_out(f"{gone} requests were aborted, {finished} finished")
            return self._holds(
                evidence,
                0.7,
                f"{gone} requests were aborted by their clients in the log{f', {finished} finished' if finished else ''}.",
                [evidence.quote(e) for e in log.all("client_gone")[:3]],
            )
        if serving is None and log is None:
            return self.not_evaluated()
        return (
            self.ruled_out("requests that start also finish") if serving and serving.timeline else self.not_evaluated()
        )

    def _by_counters(self, evidence: Evidence, serving: Serving) -> Judgement | None:
        finished = serving.increase("llm_requests_total")
        aborted = serving.increase("llm_requests_total", reason="abort") or 0.0
        first = serving.histogram("llm_time_to_first_token_seconds")
        if finished is None:
            return None
        started = first.count if first else 0.0
        at_start = (
            serving.timeline.points("llm_requests_running", sum, (0.0, serving.window[0])) if serving.timeline else []
        )
        last = serving.moments[-1]
        in_flight = (last.running or 0.0) + (last.waiting or 0.0) - (at_start[-1][1] if at_start else 0.0)
        vanished = max(0.0, started - finished - max(0.0, in_flight)) if finished else 0.0
        lost, total = aborted + vanished, finished + vanished
        if lost < max(5.0, 2 * (serving.running_max or 0.0) if not aborted else 5.0) or lost / total < 0.2:
            return (
                self.ruled_out(
                    f"{finished:.0f} of {max(started, finished):.0f} started requests finished, {aborted:.0f} aborted"
                )
                if finished
                else None
            )
        how = (
            f"{started:.0f} requests got a first token, {finished:.0f} finished, {aborted:.0f} of them aborted"
            if vanished
            else f"{aborted:.0f} of {finished:.0f} finished requests were aborted"
        )
        proof: list[EvidenceItem] = [evidence.metric("llm_requests_total", finished, "increase", "finished")]
        if first:
            proof.insert(0, evidence.metric("llm_time_to_first_token_seconds", first.count, "increase", "first tokens"))
        wasted = self._wasted(serving)
        text = f"In {serving.seconds:.0f} s {how}.{f' {wasted:.0%} of the generated tokens belong to requests that never finished.' if wasted else ''}"
        return self._holds(evidence, 0.92, text, proof)

    @staticmethod
    def _wasted(serving: Serving) -> float | None:
        made = serving.increase("llm_generation_tokens_total")
        kept = serving.histogram("llm_request_generation_tokens")
        return max(0.0, 1 - kept.total / made) if made and kept else None

    def _holds(self, evidence: Evidence, sure: float, text: str, proof: list[EvidenceItem]) -> Judgement:
        duration = evidence.serving.mean_of("llm_request_duration_seconds") if evidence.serving else None
        return self.finding(
            Severity.WARNING,
            sure,
            text,
            proof,
            [
                Fix(
                    "client and proxy timeouts",
                    None,
                    "above the end-to-end latency of the longest answers",
                    f"finished requests took {duration:.1f} s on average"
                    if duration
                    else "a load balancer's idle timeout is the usual one",
                ),
                Fix("max_tokens of requests", None, "lower", "shorter answers end before the timeout"),
            ],
        )
