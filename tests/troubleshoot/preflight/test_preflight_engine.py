"""Which engine a container runs, with which settings: from commands, scripts, variables and images."""

from __future__ import annotations

from typing import Any

import pytest

from troubleshoot.preflight.cluster import Cluster
from troubleshoot.preflight.engine import Engine
from troubleshoot.preflight.objects import objects_of
from troubleshoot.preflight.subject import Subject
from troubleshoot.preflight.workload import image_of


def engine_in(container: dict[str, Any], *others: dict[str, Any], volumes: Any = ()) -> Engine | None:
    pod = {"containers": [{"name": "c", **container}], "volumes": list(volumes)}
    value = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}
    cluster = Cluster.of(item for each in (value, *others) for item in objects_of(each))
    return Subject(cluster.workloads[0], cluster).engine


@pytest.mark.parametrize(
    ("container", "name", "version", "model"),
    [
        ({"image": "vllm/vllm-openai:v0.11.2", "args": ["--model=org/m"]}, "vllm", "0.11.2", "org/m"),
        ({"image": "mirror:5000/x/vllm-openai:v0.8.5.post1", "args": ["m"]}, "vllm", "0.8.5.post1", "m"),
        ({"image": "own:1", "command": ["vllm", "serve", "org/m", "-tp", "2"]}, "vllm", "", "org/m"),
        (
            {"image": "own:1", "command": ["python3", "-m", "sglang.launch_server", "--model-path", "m", "--tp", "2"]},
            "sglang",
            "",
            "m",
        ),
        ({"image": "lmsysorg/sglang:v0.4.6.post1-cu124"}, "sglang", "0.4.6.post1", None),
        (
            {"image": "ghcr.io/huggingface/text-generation-inference:3.3.0", "args": ["--model-id", "m"]},
            "tgi",
            "3.3.0",
            "m",
        ),
        ({"image": "nvcr.io/nvidia/tritonserver:24.05-py3"}, "triton", "24.05", None),
        ({"image": "own", "command": ["trtllm-serve", "org/m", "--tp_size", "2"]}, "tensorrt_llm", "", None),
        ({"image": "ghcr.io/ggml-org/llama.cpp:server", "args": ["-m", "/m.gguf"]}, "llamacpp", "", "/m.gguf"),
        (
            {"image": "own", "command": ["sh", "-c", "cd /x && vllm serve org/m -q fp8"]},
            "vllm",
            "",
            "org/m",
        ),
    ],
)
def test_engines_are_recognised(container: dict[str, Any], name: str, version: str, model: str | None) -> None:
    engine = engine_in(container)
    assert engine is not None
    assert (engine.name, engine.version) == (name, version)
    assert (engine.model.value if engine.model else None) == model


@pytest.mark.parametrize(
    "image", ["nginx:1", "lmcache/vllm-router:v1", "ghcr.io/vllm-project/production-stack/vllm-router:1", ""]
)
def test_others_are_not(image: str) -> None:
    assert engine_in({"image": image}) is None


def test_a_script_is_read_up_to_the_next_command() -> None:
    script = "setup --model=x;\nvllm serve org/m \\\n  --tensor-parallel-size 2; other --max-model-len 5"
    engine = engine_in({"image": "x", "command": ["bash", "-ec", script]})
    assert engine is not None
    assert engine.count("tensor parallel") == 2
    assert engine.setting("context") is None


def test_a_script_of_a_config_map_is_read_with_items_and_sub_paths() -> None:
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "start"},
        "data": {"key": "#!/bin/sh\n# vllm serve other\nvllm serve org/m --enforce-eager  # why\n"},
    }
    volume = {"name": "v", "configMap": {"name": "start", "items": [{"key": "key", "path": "run.sh"}]}}
    by_folder = {"image": "x", "command": ["/s/run.sh"], "volumeMounts": [{"name": "v", "mountPath": "/s"}]}
    engine = engine_in(by_folder, config, volumes=[volume])
    assert engine is not None
    assert engine.is_on("no CUDA graphs")
    mount = {"name": "v", "mountPath": "/run.sh", "subPath": "run.sh"}
    engine = engine_in({"image": "x", "command": ["/run.sh"], "volumeMounts": [mount]}, config, volumes=[volume])
    assert engine is not None
    assert engine.model is not None
    assert engine_in(by_folder, volumes=[volume]) is None


def test_a_script_that_is_not_given_leaves_the_arguments_unknown() -> None:
    engine = engine_in({"image": "vllm/vllm-openai:v0.9.0", "command": ["/bin/sh", "/start.sh"]})
    assert engine is not None
    assert not engine.arguments_known


def test_variables_are_put_in_where_they_are_known() -> None:
    variables = [{"name": "TP", "value": "4"}, {"name": "LEN", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]
    arguments = ["--tensor-parallel-size=$(TP)", "--max-model-len", "$(LEN)"]
    engine = engine_in({"image": "vllm/vllm-openai:v0.9.0", "args": arguments, "env": variables})
    assert engine is not None
    assert engine.count("tensor parallel") == 4
    context = engine.setting("context")
    assert context is not None
    assert context.value is None
    assert engine.count("context") is None


def test_tgi_takes_its_arguments_from_variables_too() -> None:
    container = {
        "image": "ghcr.io/huggingface/text-generation-inference:3.0.0",
        "env": [{"name": "MODEL_ID", "value": "org/m"}, {"name": "NUM_SHARD", "value": "2"}],
        "args": ["--num-shard", "4"],
    }
    engine = engine_in(container)
    assert engine is not None
    assert engine.model is not None
    assert engine.count("tensor parallel") == 4  # an argument goes before a variable


@pytest.mark.parametrize(
    ("value", "number"), [("32k", 32000), ("32K", 32768), ("8192", 8192), ("x", None), ("0", None)]
)
def test_whole_numbers_as_vllm_reads_them(value: str, number: int | None) -> None:
    engine = engine_in({"image": "vllm/vllm-openai:v0.9.0", "args": [f"--max-model-len={value}"]})
    assert engine is not None
    setting = engine.setting("context")
    assert setting is not None
    assert setting.integer == number


def test_a_switch_that_is_turned_off() -> None:
    engine = engine_in({"image": "vllm/vllm-openai:v0.9.0", "args": ["--enforce-eager=false"]})
    assert engine is not None
    assert engine.is_on("no CUDA graphs") is None


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("a", ("a", "", "")),
        ("a:1", ("a", "1", "")),
        ("host:5000/a/b", ("host:5000/a/b", "", "")),
        ("host:5000/a/b:v1@sha256:ab", ("host:5000/a/b", "v1", "sha256:ab")),
    ],
)
def test_images(reference: str, parts: tuple[str, str, str]) -> None:
    image = image_of(reference)
    assert (image.name, image.tag, image.digest) == parts
