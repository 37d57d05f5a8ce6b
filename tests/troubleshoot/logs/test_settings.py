from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from recordings.reader import load
from troubleshoot.collect import Request, collect
from troubleshoot.findings import SettingValue
from troubleshoot.logs.settings import Settings, read_settings

Expected = Mapping[str, SettingValue]

NAMESPACE = (
    "args: Namespace(subparser='serve', model_tag='meta-llama/Llama-3.1-8B-Instruct', host='0.0.0.0', port=8000, "
    "api_key='sk-very-secret', lora_modules=None, ssl_keyfile=None, allowed_origins=['*'], "
    "model='meta-llama/Llama-3.1-8B-Instruct', max_model_len=8192, tensor_parallel_size=2, "
    "gpu_memory_utilization=0.9, enforce_eager=False, enable_prefix_caching=None, quantization='awq', "
    "served_model_name=['llama', 'llama-8b'], override_generation_config={'temperature': 0.5}, "
    "dispatch_function=<function serve at 0x7f>)"
)
NON_DEFAULT = (
    "non-default args: {'model_tag': 'facebook/opt-125m', 'api_key': ['sk-very-secret'], 'max_model_len': 2048, "
    "'gpu_memory_utilization': 0.85, 'enforce_eager': True, 'served_model_name': ['opt'], 'tensor_parallel_size': 1, "
    "'compilation_config': {'level': 3, 'cudagraph_capture_sizes': [1, 2]}, 'kv_cache_dtype': 'fp8'}"
)
SERVER_ARGS = (
    "server_args=ServerArgs(model_path='Qwen/Qwen2.5-7B', tokenizer_path='Qwen/Qwen2.5-7B', port=30000, "
    "mem_fraction_static=0.88, max_running_requests=64, context_length=32768, tp_size=4, disable_cuda_graph=True, "
    "chunked_prefill_size=-1, api_key='sk-very-secret', attention_backend=None)"
)
V0_CONFIG = (
    "Initializing an LLM engine (v0.5.4) with config: model='facebook/opt-6.7b', speculative_config=None, "
    "tokenizer='facebook/opt-6.7b', skip_tokenizer_init=False, trust_remote_code=False, dtype=torch.float16, "
    "max_seq_len=2048, download_dir=None, load_format=LoadFormat.AUTO, tensor_parallel_size=1, "
    "pipeline_parallel_size=1, disable_custom_all_reduce=False, quantization=None, enforce_eager=True, "
    "kv_cache_dtype=auto, quantization_param_path=None, device_config=cuda, "
    "decoding_config=DecodingConfig(guided_decoding_backend='outlines'), "
    "observability_config=ObservabilityConfig(otlp_traces_endpoint=None), seed=0, served_model_name=opt, "
    "use_v2_block_manager=False, enable_prefix_caching=False)"
)
V1_CONFIG = (
    "Initializing a V1 LLM engine (v0.11.0) with config: model='/models/llama', speculative_config=None, "
    "tokenizer='/models/llama', dtype=torch.bfloat16, max_seq_len=32768, download_dir=None, load_format=auto, "
    "tensor_parallel_size=8, pipeline_parallel_size=2, data_parallel_size=1, disable_custom_all_reduce=False, "
    "quantization=fp8, enforce_eager=False, kv_cache_dtype=fp8_e4m3, device_config=cuda, "
    "structured_outputs_config=StructuredOutputsConfig(backend='auto', disable_fallback=False), seed=0, "
    "served_model_name=llama, enable_prefix_caching=True, chunked_prefill_enabled=True, pooler_config=None, "
    'compilation_config={"level":3,"cudagraph_mode":[2,1],"max_capture_size":512}'
)


def given(*args: str, commands: tuple[str, ...] = ()) -> Settings:
    return read_settings(args, (), commands)


def assert_holds(settings: Mapping[str, SettingValue], expected: Expected) -> None:
    assert {key: settings.get(key) for key in expected} == dict(expected)


# What the engine prints of its arguments


def test_a_namespace_of_arguments() -> None:
    assert_holds(
        given(NAMESPACE).given,
        {
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "max_model_len": 8192,
            "tensor_parallel_size": 2,
            "gpu_memory_utilization": 0.9,
            "enforce_eager": False,
            "enable_prefix_caching": None,
            "quantization": "awq",
            "port": 8000,
        },
    )


def test_non_default_arguments() -> None:
    assert_holds(
        given(NON_DEFAULT).given,
        {
            "model": "facebook/opt-125m",
            "max_model_len": 2048,
            "gpu_memory_utilization": 0.85,
            "enforce_eager": True,
            "served_model_name": "opt",
            "kv_cache_dtype": "fp8",
        },
    )


def test_non_default_arguments_that_are_no_literal() -> None:
    text = (
        "non-default args: {'model': 'opt', 'kv_transfer_config': KVTransferConfig(kv_connector='Nixl', kv_rank=0), "
        "'attention_backend': <AttentionBackendEnum.FLASH_ATTN: 1>, 'max_num_seqs': 8, 'enforce_eager': True}"
    )
    assert_holds(given(text).given, {"model": "opt", "max_num_seqs": 8, "enforce_eager": True})


def test_non_default_arguments_that_are_cut_off() -> None:
    text = "non-default args: {'model': 'opt', 'max_model_len': 2048, 'served_model_name': ['opt"
    assert_holds(given(text).given, {"model": "opt", "max_model_len": 2048})


def test_sglangs_arguments_go_by_vllms_names() -> None:
    assert_holds(
        given(SERVER_ARGS).given,
        {
            "model": "Qwen/Qwen2.5-7B",
            "tensor_parallel_size": 4,
            "max_model_len": 32768,
            "mem_fraction_static": 0.88,
            "max_running_requests": 64,
            "disable_cuda_graph": True,
            "chunked_prefill_size": -1,
            "attention_backend": None,
        },
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            V0_CONFIG,
            {
                "model": "facebook/opt-6.7b",
                "dtype": "torch.float16",
                "max_model_len": 2048,
                "tensor_parallel_size": 1,
                "quantization": None,
                "enforce_eager": True,
                "enable_prefix_caching": False,
            },
        ),
        (
            V1_CONFIG,
            {
                "model": "/models/llama",
                "max_model_len": 32768,
                "tensor_parallel_size": 8,
                "pipeline_parallel_size": 2,
                "quantization": "fp8",
                "kv_cache_dtype": "fp8_e4m3",
                "enable_prefix_caching": True,
                "enable_chunked_prefill": True,
            },
        ),
    ],
)
def test_the_configuration_says_what_is_in_force(config: str, expected: Expected) -> None:
    settings = read_settings((), (config,), ())
    assert_holds(settings.effective, expected)
    assert settings.given == {}


def test_the_configuration_gives_no_foreign_keys() -> None:
    effective = read_settings((), (V1_CONFIG,), ()).effective
    assert not {"seed", "tokenizer", "download_dir", "level", "chunked_prefill_enabled"} & set(effective)


# Command lines


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "vllm serve opt --max-model-len 2048 --gpu-memory-utilization=0.9 --enforce-eager",
            {"max_model_len": 2048, "gpu_memory_utilization": 0.9, "enforce_eager": True},
        ),
        ("vllm serve opt --enforce-eager --max-num-seqs 4", {"enforce_eager": True, "max_num_seqs": 4}),
        ("vllm serve opt --no-enable-chunked-prefill -tp 2", {"enable_chunked_prefill": False}),
        ("vllm serve opt --no-enable-prefix-caching", {"enable_prefix_caching": False}),
        ("vllm serve opt --enable-chunked-prefill=False", {"enable_chunked_prefill": False}),
        ("vllm serve opt --served-model-name 'my model' --port 1", {"served_model_name": "my model", "port": 1}),
        ("command: ['--model', 'opt', '--max-model-len', '2048']", {"model": "opt", "max_model_len": 2048}),
        ('args: ["--model","opt","--max-model-len","2048","--enforce-eager"]', {"model": "opt", "max_model_len": 2048}),
        ('"--model=opt", "--max-model-len=2048"', {"model": "opt", "max_model_len": 2048}),
        (
            "python -m sglang.launch_server --model-path qwen --tp 2 --context-length 8192 --mem-fraction-static 0.8",
            {"model": "qwen", "tensor_parallel_size": 2, "max_model_len": 8192, "mem_fraction_static": 0.8},
        ),
        (
            "text-generation-launcher --model-id bloom --max-total-tokens 4096 --num-shard 2",
            {"model": "bloom", "max_total_tokens": 4096, "num_shard": 2},
        ),
        ("llama-server --ctx-size 8192 --parallel 4", {"ctx_size": 8192, "parallel": 4}),
        ("MAX_MODEL_LEN=4096 GPU_MEMORY_UTILIZATION=0.8", {"max_model_len": 4096, "gpu_memory_utilization": 0.8}),
        ("-e MAX_NUM_SEQS=8 -e HOME=/root", {"max_num_seqs": 8}),
        ('--hf-overrides {"a":1} --max-num-seqs 2', {"max_num_seqs": 2}),
    ],
)
def test_a_command_line(command: str, expected: Expected) -> None:
    assert_holds(given(commands=(command,)).given, expected)


def test_a_negative_value_belongs_to_its_flag() -> None:
    assert given(commands=("sglang.launch_server --chunked-prefill-size -1",)).get("chunked_prefill_size") == -1


@pytest.mark.parametrize("break_", ["\\\n", "\\\r\n"])
def test_a_command_line_over_several_lines(tmp_path: Path, break_: str) -> None:
    log = tmp_path / "engine.log"
    log.write_text(
        f"$ vllm serve meta-llama/Llama-2-7b-hf {break_}    --max-model-len 2048 {break_}"
        f"  --gpu-memory-utilization=0.9 {break_}  --enforce-eager {break_}  --kv-cache-dtype fp8\n"
        "INFO 11-21 10:00:00 [api_server.py:1] vLLM API server version 0.11.0\n",
        newline="",
    )
    evidence = collect(Request([str(log)])).evidence
    assert evidence is not None
    assert_holds(
        evidence.settings.given,
        {"max_model_len": 2048, "gpu_memory_utilization": 0.9, "enforce_eager": True, "kv_cache_dtype": "fp8"},
    )


# Which of them holds


def test_a_later_start_replaces_an_earlier_one() -> None:
    settings = given("non-default args: {'max_model_len': 8192}", "non-default args: {'max_model_len': 4096}")
    assert settings.get("max_model_len") == 4096


def test_what_the_engine_read_goes_before_what_was_typed() -> None:
    settings = given("non-default args: {'max_model_len': 4096}", commands=("vllm serve x --max-model-len 9999",))
    assert settings.get("max_model_len") == 4096


def test_what_was_given_goes_before_the_configuration() -> None:
    settings = read_settings(("non-default args: {'max_model_len': 4096}",), (V1_CONFIG,), ())
    assert settings.number("max_model_len") == 4096
    assert settings.number("tensor_parallel_size") == 8


def test_what_was_given_as_none_leaves_the_configuration() -> None:
    settings = read_settings((NAMESPACE,), (V1_CONFIG,), ())
    assert settings.get("enable_prefix_caching") is True


def test_questions_of_truth_and_number() -> None:
    settings = given(NON_DEFAULT)
    assert settings.is_true("enforce_eager")
    assert not settings.is_false("enforce_eager")
    assert settings.number("gpu_memory_utilization") == 0.85
    assert settings.number("kv_cache_dtype") is None
    assert settings.number("enforce_eager") is None
    assert not settings.is_true("unknown")
    assert not settings.is_false("unknown")


# Secrets


@pytest.mark.parametrize(
    "settings",
    [
        given(NAMESPACE),
        given(NON_DEFAULT),
        given(SERVER_ARGS),
        given(commands=("vllm serve x --api-key sk-very-secret --max-model-len 2048",)),
        given(commands=("vllm serve x --api-key=sk-very-secret --port=1",)),
        given(commands=("HF_TOKEN=sk-very-secret MAX_MODEL_LEN=1 vllm serve x --hf-token sk-very-secret",)),
        given(commands=("['--api-key', 'sk-very-secret', '--port', '1']",)),
        read_settings(
            (), ("LLM engine (v1) with config: api_key='sk-very-secret', model='x', hf_token=sk-very-secret",), ()
        ),
    ],
)
def test_secrets_are_left_out(settings: Settings) -> None:
    assert "sk-very-secret" not in repr(settings)
    assert settings != Settings()


@pytest.mark.parametrize("key", ["max_num_batched_tokens", "max_total_tokens", "ssl_keyfile", "tokenizer"])
def test_what_only_sounds_like_a_secret_stays(key: str) -> None:
    assert given(f"non-default args: {{'{key}': 5}}").get(key) == 5


# Hostile text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "non-default args: {",
        "non-default args: }{",
        "non-default args: " + "{" * 3000 + "}" * 3000,
        "non-default args: {'a': " + "-" * 3000 + "1}",
        "args: Namespace(" + "a=(" * 3000,
        "args: Namespace(model='" + "x" * 100_000,
        "--" * 5000,
        "--a=" + "'" * 5000,
        "non-default args: {1: 2, (3,): 4, None: {5}}",
        "non-default args: {'max_model_len': 1e999, 'x': nan}",
    ],
)
def test_nothing_raises(text: str) -> None:
    assert isinstance(read_settings((text,), (text,), (text,)), Settings)


# The recordings


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kv_preemption", {"max_num_seqs": 128, "num_gpu_blocks_override": 900, "served_model_name": "llama-2-7b"}),
        ("c_json_native", {"max_num_seqs": 32, "max_model_len": 2048, "tensor_parallel_size": 1}),
        ("oom_no_kv_blocks", {"gpu_memory_utilization": 0.18, "enforce_eager": True}),
        ("stuck_engine", {"enforce_eager": True}),
    ],
)
def test_settings_of_a_recording(name: str, expected: Expected) -> None:
    evidence = collect(Request([str(load(name).log_path)])).evidence
    assert evidence is not None
    assert {key: evidence.settings.get(key) for key in expected} == dict(expected)
