"""Values that people may give, by what they are for."""

from __future__ import annotations

import msgspec

from exporter.deploy.release import Release
from exporter.deploy.values import Values
from inferwatch.version import VERSION
from tests.exporter.deploy.manifests import Manifest

RELEASE = Release(version=VERSION)
API_SERVER = {"config": {"kubernetes": {"discovery": "api_server"}}}
WEB = {"webConfig": {"secretName": "inferwatch-exporter-web"}}
MIG = {"mig": {"monitor": True}}
OPTIONS: dict[str, Manifest] = {
    "defaults": {},
    "api-server": API_SERVER,
    "auto": {"config": {"kubernetes": {"discovery": "auto", "refresh_seconds": 30}}},
    "no-kubernetes": {"config": {"kubernetes": {"discovery": "none"}}, "kubelet": {"podResources": False}},
    "api-server-alone": {**API_SERVER, "kubelet": {"podResources": False}},
    "mig": MIG,
    "processes": {"config": {"gpu": {"processes": True}}},
    "web": {
        **WEB,
        "podMonitor": {
            "scheme": "https",
            "tlsConfig": {"ca": {"secret": {"name": "exporter-ca", "key": "ca.crt"}}},
            "basicAuth": {"username": {"name": "login", "key": "user"}, "password": {"name": "login", "key": "word"}},
            "labels": {"release": "prometheus"},
        },
    },
    "plain-cluster": {
        "podMonitor": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "runtimeClassName": "",
        "priorityClassName": "",
        "nodeSelector": {"nvidia.com/gpu.present": None},
        "tolerations": [],
    },
    "everything-else": {
        "image": {"repository": "registry.example.com/inferwatch", "tag": "1.2", "pullSecrets": [{"name": "login"}]},
        "port": 9500,
        "config": {"engines": {"max_body_bytes": 33554432}},
        "kubelet": {"rootDirectory": "/var/lib/k0s/kubelet"},
        "networkPolicy": {
            "ingressFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
            "extraEgress": [{"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}],
        },
        "maxUnavailable": "1",
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "seLinuxOptions": {"type": "spc_t"},
        "podAnnotations": {"team": "yes"},
        "podLabels": {"team": "1"},
        "resources": {"limits": {"cpu": "1"}},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
        "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
    },
    "digest": {"image": {"digest": "sha256:" + "0" * 64}},
}


def over_defaults(changes: Manifest) -> Values:
    """Values with changes put over them as Helm does: mappings merge, null takes a key away, all else replaces."""
    return msgspec.convert(_merged(msgspec.to_builtins(Values()), changes), Values)


def _merged(base: Manifest, changes: Manifest) -> Manifest:
    merged = dict(base)
    for key, change in changes.items():
        if change is None:
            merged.pop(key)
        elif isinstance(change, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], change)
        else:
            merged[key] = change
    return merged
