"""KServe's InferenceServices and LLMInferenceServices.

Source: serving.kserve.io v1beta1 and v1alpha1. In serverless mode Knative probes every container's port and gives the
pods the revision's timeout as their time to end; in standard mode KServe probes the port. LLMInferenceServices take
image, probes, /dev/shm and arguments from presets (LLMInferenceServiceConfig) wherever they say nothing themselves.
"""

from __future__ import annotations

from dataclasses import replace

from troubleshoot.preflight.kinds.setting import Setting
from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.workload import Container, Role, Supplied, Word, Workload

MODE_ANNOTATION = "serving.kserve.io/deploymentMode"
_FRAMEWORKS = ("huggingface", "triton", "sklearn", "xgboost", "pytorch", "tensorflow", "onnx", "pmml", "lightgbm")
_PARALLELISM = {
    "tensor": "--tensor-parallel-size",
    "pipeline": "--pipeline-parallel-size",
    "data": "--data-parallel-size",
    "dataLocal": "--data-parallel-size-local",
}


def is_serverless(item: KubeObject) -> bool:
    """Whether Knative runs it: the default, unless the annotation says otherwise."""
    mode = item.root.at("metadata", "annotations", MODE_ANNOTATION).text
    return mode.lower() in {"", "serverless", "knative"}


def inference_service(item: KubeObject, setting: Setting) -> list[Workload]:
    """Its predictor, transformer and explainer."""
    roles: tuple[Role, ...] = ("predictor", "transformer", "explainer")
    return [
        _component(item, item.root.at("spec", role), role, setting)
        for role in roles
        if item.root.at("spec", role).exists
    ]


def _component(item: KubeObject, part: Field, role: Role, setting: Setting) -> Workload:
    supplied: set[Supplied] = {"readiness", "service"}
    if is_serverless(item):
        supplied.add("termination")
    workload = Workload(
        owner=item,
        pod=part,
        labels={**part.at("labels").labels, "serving.kserve.io/inferenceservice": item.name, "component": role},
        annotations={**item.root.at("metadata", "annotations").labels, **part.at("annotations").labels},
        replicas=part.at("minReplicas"),
        containers=setting.containers(part, item.namespace),
        role=role,
        max_replicas=part.at("maxReplicas"),
        supplied=frozenset(supplied),
    )
    model = next((part.at(key) for key in ("model", *_FRAMEWORKS) if part.at(key).exists), None)
    return _with_runtime(workload, model, setting) if model is not None else workload


def _with_runtime(workload: Workload, model: Field, setting: Setting) -> Workload:
    """A `model` takes its container from a serving runtime; what it says itself comes on top."""
    runtime = setting.runtime(model.at("runtime").text, workload.namespace)
    own = Container(model, tuple(Word(item.text, item) for item in model.at("args").items()))
    uri = model.at("storageUri")
    model_uri = uri if uri.text.startswith("hf://") else None
    if runtime is None:
        missing: frozenset[Supplied] = frozenset({"probes", "shared memory", "arguments"})
        return replace(workload, containers=(own,), supplied=workload.supplied | missing, model_uri=model_uri)
    pod = runtime.root.at("spec")
    merged = tuple(_merged(container, own) for container in setting.containers(pod, runtime.namespace))
    return replace(workload, pod=_merged_pod(pod, workload.pod), containers=merged, model_uri=model_uri)


def _merged(base: Container, own: Container) -> Container:
    """The runtime's container with the model's resources, environment and arguments."""
    if base.name != "kserve-container":
        return base
    keys = ("resources", "env", "ports", "image", "livenessProbe", "readinessProbe", "startupProbe")
    own_entries = {key: own.field.at(key) for key in keys if own.field.at(key).exists}
    return Container(base.field.with_entries(own_entries), (*base.words, *own.words))


def _merged_pod(base: Field, own: Field) -> Field:
    """The runtime's pod with what the service's component says on top."""
    return base.with_entries({key: item for key, item in own.entries() if key != "containers"})


def llm_inference_service(item: KubeObject, setting: Setting) -> list[Workload]:
    """Its decode part and, where there is one, its prefill part."""
    spec = item.root.at("spec")
    found = [_llm_part(item, spec, "server", setting)]
    if spec.at("prefill").exists:
        found.append(_llm_part(item, spec.at("prefill"), "prefill", setting))
    return found


def _llm_part(item: KubeObject, part: Field, role: Role, setting: Setting) -> Workload:
    pod = part.at("template")
    containers = setting.containers(pod, item.namespace)
    parallelism = part.at("parallelism")
    supplied: frozenset[Supplied] = frozenset(
        {"readiness", "probes", "shared memory", "arguments", "service", "metrics", "termination"}
    )
    return Workload(
        owner=item,
        pod=pod,
        labels={"app.kubernetes.io/name": item.name, "kserve.io/component": "workload"},
        annotations=item.root.at("metadata", "annotations").labels,
        replicas=part.at("replicas") if part.at("replicas").exists else part.at("scaling", "minReplicas"),
        containers=containers,
        role=role,
        supplied=supplied,
        settings={
            flag: parallelism.at(key) for key, flag in _PARALLELISM.items() if parallelism.at(key).integer is not None
        },
        model_uri=item.root.at("spec", "model", "uri"),
    )
