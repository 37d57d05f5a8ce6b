"""Credentials for a cluster: as the kubeconfig says, or those of the pod that this runs in.

The kubernetes package reads them. Its error messages quote parts of the file, secrets included, so none is printed;
what it would only log (a credential plugin that fails) is caught and said.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from troubleshoot.redact import quote
from troubleshoot.sources.errors import InputError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient, Configuration

AT_ONCE: Final = 8
"""Connections kept to one API server."""

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DEFAULT_FILE: Final = "~/.kube/config"
_MOST_BYTES: Final = 8 << 20
_CONTEXTS_NAMED: Final = 5
_LISTS: Final = ("clusters", "contexts", "users")


class Login(NamedTuple):
    """A client with credentials; `namespace` is the context's own, `name` says which cluster this is."""

    client: ApiClient
    namespace: str
    name: str


def log_in(kubeconfig: str = "", context: str = "") -> Login:
    """Read the kubeconfig (the file given, else `KUBECONFIG`, else `~/.kube/config`), else the pod's service account.

    Raises `InputError`. No request is made yet, but a credential plugin of the kubeconfig is run.
    """
    try:
        import kubernetes.client  # noqa: F401
    except ModuleNotFoundError:
        raise InputError("--kube", "needs the kubernetes package", "install inferwatch[kube]") from None
    spec = kubeconfig or os.environ.get("KUBECONFIG", "") or _DEFAULT_FILE
    paths = [str(Path(path).expanduser()) for path in spec.split(os.pathsep) if path]
    present = [path for path in paths if Path(path).is_file()]
    if present:
        return _from_file(present, context)
    if kubeconfig:
        raise InputError(kubeconfig, "is no file", "give the path of a kubeconfig")
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _in_cluster(context)
    problem = f"there is no kubeconfig ({spec}), and this is no pod"
    raise InputError("--kube", problem, "set KUBECONFIG or give --kubeconfig FILE")


def _configuration() -> Configuration:
    from kubernetes.client import Configuration

    configuration = Configuration()
    # Neither redirects, which could lead credentials elsewhere, nor tries of urllib3's own beside ours.
    configuration.retries = False
    configuration.connection_pool_maxsize = AT_ONCE
    return configuration


def _client(configuration: Configuration) -> ApiClient:
    from kubernetes.client import ApiClient

    if not configuration.verify_ssl:
        import urllib3

        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    client = ApiClient(configuration)
    client.user_agent = "inferwatch"
    return client


def _from_file(paths: Sequence[str], context: str) -> Login:
    from kubernetes.config import ConfigException, load_kube_config

    shown = os.pathsep.join(paths)
    merged = _merged(paths)
    chosen = context or str(merged.get("current-context") or "")
    entry = _named(merged["contexts"], chosen).get("context")
    if not isinstance(entry, Mapping):
        raise _no_context(shown, merged, chosen)
    configuration = _configuration()
    try:
        with _heard() as said:
            load_kube_config(  # type: ignore[no-untyped-call]
                shown, context=chosen, client_configuration=configuration, persist_config=False
            )
    except ConfigException:
        problem = f"context {chosen} lacks a cluster, a user's field or a file that it names"
        raise InputError(shown, problem, "compare with: kubectl config view --context") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InputError(shown, f"context {chosen} is malformed", "check it with: kubectl config view") from None
    except OSError as error:
        problem = f"context {chosen} names a file that cannot be read ({error.strerror})"
        raise InputError(shown, problem, "check the paths in it") from None
    plugin = _named(merged["users"], str(entry.get("user") or "")).get("user")
    command = plugin["exec"].get("command") if isinstance(plugin, Mapping) and _is_mapping(plugin.get("exec")) else None
    if command and not configuration.api_key and not configuration.cert_file:
        why = f": {quote(said[-1], 200)}" if said else ""
        raise InputError(shown, f"the credential plugin {command} gave no credentials{why}", "run it, or log in again")
    return Login(_client(configuration), str(entry.get("namespace") or "default"), chosen)


def _merged(paths: Sequence[str]) -> dict[str, Any]:
    """The files as one, as kubectl merges them: of a name the first entry stands, of `current-context` the first."""
    import yaml

    merged: dict[str, Any] = {key: [] for key in _LISTS}
    for path in paths:
        try:
            if Path(path).stat().st_size > _MOST_BYTES:
                raise InputError(path, "is too large for a kubeconfig", "check the path")
            loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise InputError(path, f"cannot be read ({error.strerror})", "check its permissions") from None
        except (yaml.YAMLError, UnicodeDecodeError):
            raise InputError(path, "is no YAML", "check it with: kubectl config view") from None
        if not isinstance(loaded, dict):
            raise InputError(path, "is no kubeconfig: it holds no mapping", "check it with: kubectl config view")
        for key in _LISTS:
            entries = loaded.get(key) or []
            if not isinstance(entries, list) or not all(
                _is_mapping(e) and isinstance(e.get("name"), str) for e in entries
            ):
                raise InputError(path, f"its {key} are no list of named entries", "check it with: kubectl config view")
            merged[key] += entries
        merged.setdefault("current-context", loaded.get("current-context"))
    return merged


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _named(entries: Sequence[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    return next((entry for entry in entries if entry["name"] == name), {})


def _no_context(shown: str, merged: Mapping[str, Any], chosen: str) -> InputError:
    names = [entry["name"] for entry in merged["contexts"]]
    known = f"it has: {', '.join(names[:_CONTEXTS_NAMED])}" if names else "it has none"
    more = f" and {len(names) - _CONTEXTS_NAMED} others" if len(names) > _CONTEXTS_NAMED else ""
    problem = f"has no context {chosen}" if chosen else "has no current context"
    return InputError(shown, problem, f"{known}{more}")


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What the kubernetes package logs meanwhile, kept instead of printed."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        yield said
    finally:
        logging.getLogger().removeHandler(ear)


def _in_cluster(context: str) -> Login:
    from kubernetes.config import ConfigException
    from kubernetes.config.incluster_config import InClusterConfigLoader

    if context:
        raise InputError(context, "is a context, and a pod has none", "give --kubeconfig, or leave the context out")
    configuration = _configuration()
    loader = InClusterConfigLoader(str(SERVICE_ACCOUNT / "token"), str(SERVICE_ACCOUNT / "ca.crt"))  # type: ignore[no-untyped-call]
    try:
        loader.load_and_set(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError):
        problem = "the pod has no usable service account token"
        raise InputError(str(SERVICE_ACCOUNT), problem, "mount one (automountServiceAccountToken)") from None
    try:
        namespace = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        namespace = ""
    return Login(_client(configuration), namespace or "default", "this cluster")
