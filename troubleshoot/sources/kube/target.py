"""What `--kube` names: a pod, or a workload whose pods are its replicas."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

from troubleshoot.sources.errors import InputError

Kind = Literal[
    "pod",
    "deployment",
    "statefulset",
    "daemonset",
    "leaderworkerset",
    "inferenceservice",
    "llminferenceservice",
    "selector",
    "namespace",
    "everywhere",
]

KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("pod", "pods", "po"), "pod"),
    **dict.fromkeys(("deployment", "deployments", "deploy"), "deployment"),
    **dict.fromkeys(("statefulset", "statefulsets", "sts"), "statefulset"),
    **dict.fromkeys(("inferenceservice", "inferenceservices", "isvc"), "inferenceservice"),
}
"""The words for a kind that has replicas to diagnose, with kubectl's short ones."""

CHECKED_KINDS: Final[dict[str, Kind]] = {
    **KINDS,
    **dict.fromkeys(("daemonset", "daemonsets", "ds"), "daemonset"),
    **dict.fromkeys(("leaderworkerset", "leaderworkersets", "lws"), "leaderworkerset"),
    **dict.fromkeys(("llminferenceservice", "llminferenceservices", "llmisvc"), "llminferenceservice"),
}
"""The words for a kind that can be held against a checklist."""

_FORMS: Final = (
    "write NAMESPACE/POD, NAMESPACE/deployment/NAME, NAMESPACE/statefulset/NAME or NAMESPACE/inferenceservice/NAME, "
    "or NAMESPACE with -l SELECTOR, each with CONTEXT/ before it for another cluster"
)
_CHECKED_FORMS: Final = (
    "write NAMESPACE, or [NAMESPACE/]KIND/NAME with one of deployment, statefulset, daemonset, leaderworkerset, "
    "inferenceservice, llminferenceservice, pod; manifests are checked without --kube"
)
_NAMESPACE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NAME: Final = re.compile(r"[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?")
_LONGEST_SELECTOR: Final = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """`name` is a selector where `kind` says so. An empty namespace or context is the kubeconfig's own."""

    kind: Kind
    name: str
    namespace: str = ""
    context: str = ""

    def __str__(self) -> str:
        kind = {"pod": "", "selector": "-l "}.get(self.kind, f"{self.kind}/")
        return f"{self.namespace}/{kind}{self.name}" if self.namespace else f"{kind}{self.name}"


def parse_target(text: str, selector: str = "") -> Target:
    """Read `[CONTEXT/]NAMESPACE/[KIND/]NAME`, with a selector `[CONTEXT/]NAMESPACE`; raise `InputError`.

    A context's name may hold slashes (Amazon's do), so the address is read from its end.
    """
    parts = text.split("/")
    if selector:
        if len(selector) > _LONGEST_SELECTOR:
            raise InputError("-l", "is too long for a label selector", "write for example app=vllm")
        return _checked(Target("selector", selector, parts[-1], "/".join(parts[:-1])), text)
    if len(parts) >= 2 and parts[-2] in KINDS:
        namespace = parts[-3] if len(parts) > 2 else ""
        return _checked(Target(KINDS[parts[-2]], parts[-1], namespace, "/".join(parts[:-3])), text)
    if len(parts) < 2:
        raise InputError(f"--kube {text}", "names no pod", _FORMS)
    return _checked(Target("pod", parts[-1], parts[-2], "/".join(parts[:-2])), text)


def parse_checked(text: str, namespace: str = "", context: str = "") -> Target:
    """Read what `preflight --kube` names: `[[CONTEXT/]NAMESPACE/]KIND/NAME`, or a namespace; raise `InputError`.

    `namespace` and `context` are what is said of them besides. Without a workload the kind is "namespace".
    """
    parts = text.split("/")
    if len(parts) >= 2 and parts[-2] in CHECKED_KINDS:
        found = Target(CHECKED_KINDS[parts[-2]], parts[-1], parts[-3] if len(parts) > 2 else "", "/".join(parts[:-3]))
        is_name = bool(_NAME.fullmatch(found.name)) and not text.startswith("/")
    else:
        found, is_name = Target("namespace", "", text), True
    for given, said, option in ((found.namespace, namespace, "--namespace"), (found.context, context, "--context")):
        if given and said:
            raise InputError(f"--kube {text}", f"is given besides {option} {said}", "give one of them")
    found = replace(found, namespace=found.namespace or namespace, context=found.context or context)
    if not is_name or (found.namespace and not _NAMESPACE.fullmatch(found.namespace)):
        problem = "is no name of a namespace or workload"
        raise InputError(f"--kube {text or found.namespace}", problem, _CHECKED_FORMS)
    return found


def plugin_target(words: str, namespace: str, context: str, selector: str) -> Target:
    """What kubectl's words name: POD or KIND/NAME, its namespace and context given apart; raise `InputError`."""
    if selector:
        if words:
            raise InputError(words, "is given besides a selector", "give a name or -l SELECTOR")
        return _checked(Target("selector", selector, namespace, context), selector)
    kind, slash, name = words.rpartition("/")
    if slash and kind not in KINDS:
        raise InputError(words, f"{kind} is no kind with replicas", f"kinds: {', '.join(sorted(set(KINDS.values())))}")
    if not name:
        raise InputError("kubectl inferwatch", "no pod is named", "give POD, KIND/NAME or -l SELECTOR")
    return _checked(Target(KINDS[kind] if slash else "pod", name, namespace, context), words)


def _checked(target: Target, text: str) -> Target:
    """The target, if its parts are names that Kubernetes allows: they go into the paths of requests."""
    names = [target.namespace] if target.namespace else []
    if target.kind != "selector":
        names.append(target.name)
    elif not target.namespace and not text:
        raise InputError("--kube", "names no namespace", _FORMS)
    if not all(_NAME.fullmatch(name) for name in names) or (text.startswith("/") and not target.context):
        raise InputError(f"--kube {text}", "is no name of a pod or workload", _FORMS)
    return target
