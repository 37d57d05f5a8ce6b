"""KServe's canary: the right field, on the right object."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, ObjectCheck, Severity
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.kinds.kserve import MODE_ANNOTATION, is_serverless
from troubleshoot.preflight.objects import KubeObject, spelled

_FIELD = "canaryTrafficPercent"
_COMPONENTS = ("predictor", "transformer", "explainer")
_OLD_FIELDS = ("default", "canary", _FIELD)


class Canary(ObjectCheck):
    """canaryTrafficPercent parts traffic between two revisions of one InferenceService, under Knative alone."""

    id = "canary"
    severity = Severity.CRITICAL
    title = "The canary gets no share of the traffic"
    kinds = ("InferenceService",)
    needs = "canaryTrafficPercent, and whether an earlier revision serves"

    def applies(self, item: KubeObject, cluster: Cluster) -> bool:
        """InferenceServices that speak of a canary."""
        spec = item.root.at("spec")
        inside = any(spec.at(part, _FIELD).exists for part in _COMPONENTS)
        return item.kind in self.kinds and (inside or any(spec.at(name).exists for name in _OLD_FIELDS))

    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """See the class."""
        spec = item.root.at("spec")
        for name in _OLD_FIELDS:
            if spec.at(name).exists:
                yield self.finding(
                    item.title,
                    spec.at(name),
                    f"spec.{name} is a field of v1alpha2: {item.api_version} does not know it.",
                    Fix(
                        f"spec.predictor.{_FIELD}",
                        None,
                        spec.at(name).integer or 10,
                        "on the same InferenceService that serves now",
                    ),
                    title="A canary field of an API version that is gone",
                )
        for part in _COMPONENTS:
            field = spec.at(part, _FIELD)
            if not field.exists:
                continue
            percent = field.integer
            if percent is None or not 0 <= percent <= 100:
                yield self.finding(
                    item.title,
                    field,
                    f"{_FIELD} is {field.text or 'no number'}: it is a percentage from 0 to 100.",
                    Fix(spelled(field.path), field.text or None, 10, "percent of the traffic"),
                )
            elif not is_serverless(item):
                mode = item.root.at("metadata", "annotations", MODE_ANNOTATION).text
                yield self.finding(
                    item.title,
                    field,
                    f"Deployment mode {mode} has no revisions: {_FIELD} is without effect.",
                    Fix(MODE_ANNOTATION, mode, "Serverless", "or weights of a Gateway API HTTPRoute over two services"),
                )
            elif "canary" in item.name.lower():
                yield self.finding(
                    item.title,
                    field,
                    "It is an InferenceService of its own: its first revision gets all of its own traffic, and none of what another service gets.",
                    Fix(
                        "metadata.name",
                        item.name,
                        "the name of the service that serves now",
                        f"apply the new image there with {_FIELD}: {percent}",
                    ),
                )
            else:
                yield self.not_checked(
                    item.title,
                    "whether an earlier revision of this InferenceService serves: only then is traffic parted",
                )
