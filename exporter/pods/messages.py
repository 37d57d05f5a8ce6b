"""The kubelet's protobuf messages, as a table of the fields that are read; classes are made from it when imported.

There is no generated code to keep in step: protobuf skips fields that the table does not name, so newer
kubelets are read as well. Field numbers are those of
k8s.io/kubelet/pkg/apis/podresources/v1/api.proto, k8s.io/kubelet/pkg/apis/pods/v1alpha1/api.proto,
k8s.io/api/core/v1/generated.proto and k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto.
Importing this module loads protobuf: import it only where a socket is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError
from msgspec import Struct

from exporter.pods.problems import SourceError

_PACKAGE = "inferwatch.kubelet"
_SCALARS = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "bool": FieldDescriptorProto.TYPE_BOOL,
    "int32": FieldDescriptorProto.TYPE_INT32,
}


class _Field(Struct, frozen=True):
    """A field: `kind` is a scalar, "map" (string to string), or the name of another message of the table."""

    name: str
    number: int
    kind: str
    repeated: bool = False


MESSAGES: Mapping[str, tuple[_Field, ...]] = {
    # podresources/v1
    "ListPodResourcesRequest": (),
    "ListPodResourcesResponse": (_Field("pod_resources", 1, "PodResources", repeated=True),),
    "PodResources": (
        _Field("name", 1, "string"),
        _Field("namespace", 2, "string"),
        _Field("containers", 3, "ContainerResources", repeated=True),
    ),
    "ContainerResources": (
        _Field("name", 1, "string"),
        _Field("devices", 2, "ContainerDevices", repeated=True),
        _Field("dynamic_resources", 5, "DynamicResource", repeated=True),
    ),
    "ContainerDevices": (
        _Field("resource_name", 1, "string"),
        _Field("device_ids", 2, "string", repeated=True),
    ),
    "DynamicResource": (_Field("claim_resources", 4, "ClaimResource", repeated=True),),
    "ClaimResource": (
        _Field("driver_name", 2, "string"),
        _Field("pool_name", 3, "string"),
        _Field("device_name", 4, "string"),
    ),
    # pods/v1alpha1; each pod is a serialised core/v1 Pod
    "ListPodsRequest": (),
    "ListPodsResponse": (_Field("pods", 1, "bytes", repeated=True),),
    # core/v1 and meta/v1
    "Pod": (
        _Field("metadata", 1, "ObjectMeta"),
        _Field("spec", 2, "PodSpec"),
        _Field("status", 3, "PodStatus"),
    ),
    "ObjectMeta": (
        _Field("name", 1, "string"),
        _Field("namespace", 3, "string"),
        _Field("uid", 5, "string"),
        _Field("labels", 11, "map"),
        _Field("annotations", 12, "map"),
    ),
    "PodSpec": (_Field("containers", 2, "Container", repeated=True),),
    "Container": (
        _Field("name", 1, "string"),
        _Field("ports", 6, "ContainerPort", repeated=True),
    ),
    "ContainerPort": (
        _Field("name", 1, "string"),
        _Field("containerPort", 3, "int32"),
    ),
    "PodStatus": (
        _Field("phase", 1, "string"),
        _Field("podIP", 6, "string"),
        _Field("containerStatuses", 8, "ContainerStatus", repeated=True),
        _Field("podIPs", 12, "PodIP", repeated=True),
    ),
    "PodIP": (_Field("ip", 1, "string"),),
    "ContainerStatus": (
        _Field("name", 1, "string"),
        _Field("ready", 4, "bool"),
    ),
}


def _add_field(message: DescriptorProto, field: _Field) -> None:
    added = message.field.add(name=field.name, number=field.number)
    added.label = added.LABEL_REPEATED if field.repeated or field.kind == "map" else added.LABEL_OPTIONAL
    if field.kind in _SCALARS:
        added.type = _SCALARS[field.kind]
        return
    added.type = added.TYPE_MESSAGE
    if field.kind != "map":
        added.type_name = f".{_PACKAGE}.{field.kind}"
        return
    # A map is a repeated nested message of this name and shape (protobuf language guide, "Maps").
    entry = message.nested_type.add(name=f"{field.name.capitalize()}Entry")
    entry.options.map_entry = True
    _add_field(entry, _Field("key", 1, "string"))
    _add_field(entry, _Field("value", 2, "string"))
    added.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"


def _classes() -> dict[str, Any]:
    # proto3, though core/v1 is proto2: the wire is the same, and text that is not UTF-8 fails here, not when read.
    file = FileDescriptorProto(name="inferwatch/kubelet.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field in fields:
            _add_field(message, field)
    # A pool of its own: another library in the process may describe the same files.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in MESSAGES
    }


CLASSES: Mapping[str, Any] = _classes()
"""Message name -> its class. The classes are made at run time, so their attributes are not known to a type checker."""


def decode(name: str, data: bytes) -> Any:
    """Read one message of the table.

    Raises SourceError("malformed") for bytes that are no such message.
    """
    try:
        return CLASSES[name].FromString(data)
    except DecodeError as error:
        raise SourceError("malformed", f"the kubelet's answer is no {name}: {error}") from error
