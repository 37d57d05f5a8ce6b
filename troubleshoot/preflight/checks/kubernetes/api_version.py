"""API versions that clusters still serve."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, ObjectCheck, Severity
from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.objects import KubeObject

# (apiVersion, kind) -> what to write, and since when the old one is gone. Source: Kubernetes' deprecated API migration
# guide; Karpenter's upgrade guide; KServe's changes from v1alpha2.
_GONE = {
    ("autoscaling/v2beta1", "HorizontalPodAutoscaler"): ("autoscaling/v2", "Kubernetes 1.25"),
    ("autoscaling/v2beta2", "HorizontalPodAutoscaler"): ("autoscaling/v2", "Kubernetes 1.26"),
    ("policy/v1beta1", "PodDisruptionBudget"): ("policy/v1", "Kubernetes 1.25"),
    ("extensions/v1beta1", "Deployment"): ("apps/v1", "Kubernetes 1.16"),
    ("apps/v1beta1", "Deployment"): ("apps/v1", "Kubernetes 1.16"),
    ("apps/v1beta2", "Deployment"): ("apps/v1", "Kubernetes 1.16"),
    ("apps/v1beta1", "StatefulSet"): ("apps/v1", "Kubernetes 1.16"),
    ("apps/v1beta2", "StatefulSet"): ("apps/v1", "Kubernetes 1.16"),
    ("extensions/v1beta1", "Ingress"): ("networking.k8s.io/v1", "Kubernetes 1.22"),
    ("networking.k8s.io/v1beta1", "Ingress"): ("networking.k8s.io/v1", "Kubernetes 1.22"),
    ("batch/v1beta1", "CronJob"): ("batch/v1", "Kubernetes 1.25"),
    ("karpenter.sh/v1alpha5", "Provisioner"): ("karpenter.sh/v1 NodePool", "Karpenter 1.0"),
    ("karpenter.sh/v1beta1", "NodePool"): ("karpenter.sh/v1", "Karpenter 1.1"),
    ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate"): ("karpenter.k8s.aws/v1 EC2NodeClass", "Karpenter 1.0"),
    ("serving.kubeflow.org/v1alpha2", "InferenceService"): ("serving.kserve.io/v1beta1", "KServe 0.7"),
    ("serving.kubeflow.org/v1beta1", "InferenceService"): ("serving.kserve.io/v1beta1", "KServe 0.7"),
}


class ApiVersion(ObjectCheck):
    """An object of a version that is gone cannot be applied."""

    id = "api_version"
    severity = Severity.CRITICAL
    title = "This API version is gone"
    needs = "apiVersion and kind"

    def judge(self, item: KubeObject, cluster: Cluster) -> Iterable[Judgement]:
        """See the class."""
        found = _GONE.get((item.api_version, item.kind))
        if found is not None:
            good, since = found
            yield self.finding(
                item.title,
                item.root.at("apiVersion"),
                f"{item.kind} of {item.api_version} is gone since {since}.",
                Fix("apiVersion", item.api_version, good, "what clusters serve now; fields may differ"),
            )
