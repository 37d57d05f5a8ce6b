from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from troubleshoot.redact import clean, is_secret_name, quote, redact, shapes

MILLION = 1_000_000

SECRETS = [
    ("{'api_key': ['sk-abc123']}", "{'api_key': ['***']}"),
    ("{'api_key': 'topsecret', 'model': 'm'}", "{'api_key': '***', 'model': 'm'}"),
    ("Namespace(api_key='topsecret', host=None)", "Namespace(api_key='***', host=None)"),
    ("api_key=['one', 'two'], host='h'", "api_key=['***'], host='h'"),
    ("vllm serve m --api-key hunter2 --port 1", "vllm serve m --api-key *** --port 1"),
    ("--hf-token=abc --port 1", "--hf-token=*** --port 1"),
    ("['--api-key', 'hunter2', '--model', 'm']", "['--api-key', '***', '--model', 'm']"),
    ("token hf_abcdefghijABCDEFGHIJ1234567890abcd used", "token hf_*** used"),
    ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
    ("Authorization: Basic dXNlcjpwYXNz x", "Authorization: Basic *** x"),
    ("{'authorization': 'Bearer xyz'}", "{'authorization': 'Bearer ***'}"),
    ("(b'x-api-key', b'abc')", "(b'x-api-key', b'***')"),
    ("sent Bearer a1b2c3d4e5", "sent Bearer ***"),
    ("Cookie: session=abc; other=def", "Cookie: ***"),
    ("AKIAIOSFODNN7EXAMPLE", "AKIA***"),
    ("AWS_SECRET_ACCESS_KEY=wJalr/XUtn+FEMI", "AWS_SECRET_ACCESS_KEY=***"),
    ("password=hunter2, x=1", "password=***, x=1"),
    ("password=a,b&c", "password=***"),
    ("PGPASSWORD=12345", "PGPASSWORD=***"),
    ("DB_PASS: 'x'", "DB_PASS: '***'"),
    ("GET /x?token=abc&user=1", "GET /x?token=***&user=1"),
    ("token: 8f3a91c2d0", "token: ***"),
    ("postgres://user:p@ss@host/db", "postgres://user:***@host/db"),
    ("redis://:pw@host:6379", "redis://:***@host:6379"),
    ("eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJSM", "eyJ***"),
    ("key sk-proj-abcdefghijklmnop1234 refused", "key sk-*** refused"),
    ("ghp_abcdefghijklmnopqrst1234", "ghp_***"),
    ("github_pat_11ABCDEFG0123456789", "github_pat_***"),
    ("nvapi-abcdefghijklmnop1234", "nvapi-***"),
    ("https://x/?X-Amz-Signature=abc&a=1", "https://x/?X-Amz-Signature=***&a=1"),
    (
        "-----BEGIN RSA PRIVATE KEY----- MIIE+/= -----END RSA PRIVATE KEY----- rest",
        "-----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- rest",
    ),
    ("-----BEGIN PRIVATE KEY----- MIIE+/= cut", "-----BEGIN PRIVATE KEY-----***"),
    ('{"name": "HF_TOKEN", "value": "abc"}', '{"name": "HF_TOKEN", "value": "***"}'),
    ("EnvVar(name='DB_PASSWORD', value='x')", "EnvVar(name='DB_PASSWORD', value='***')"),
    ("environ({'WANDB_API_KEY': 'abc'})", "environ({'WANDB_API_KEY': '***'})"),
    ('{\\"api_key\\": \\"abc\\", \\"n\\": 1}', '{\\"api_key\\": \\"***\\", \\"n\\": 1}'),
    ('{"clientSecret": "abc"}', '{"clientSecret": "***"}'),
    ("{'api_key': 'cut in the midd", "{'api_key': '***"),
    ("api key: abcdef", "api key: ***"),
    ("image data:image/png;base64,iVBORw0KGgo= end", "image data:image/png;base64,*** end"),
]

PROMPTS = [
    (
        r"Received request c-1: prompt: 'it\'s, params: me', params: SamplingParams(n=1, max_tokens=16), "
        "prompt_token_ids: [1, 2], lora_request: None.",
        "Received request c-1: prompt: '***', params: SamplingParams(n=1, max_tokens=16), "
        "prompt_token_ids: [***], lora_request: None.",
    ),
    (
        "Received request c-1: prompt: my, params: words, sampling params: SamplingParams(n=1), "
        "prompt token ids: [1, 2].",
        "Received request c-1: prompt: ***, sampling params: SamplingParams(n=1), prompt token ids: [***].",
    ),
    ("Received request c-1: prompt: 'cut in the midd", "Received request c-1: prompt: '***"),
    (
        'Generated response c-1 (complete): output: "it\'s", output_token_ids: (1, 2), finish_reason: stop',
        'Generated response c-1 (complete): output: "***", output_token_ids: (***), finish_reason: stop',
    ),
    ("SequenceData(prompt_token_ids=array('l', [1, 2]))", "SequenceData(prompt_token_ids=array('l', [***]))"),
    ('{"prompt_token_ids": [[1, 2], [3]], "n": 1}', '{"prompt_token_ids": [***], "n": 1}'),
    ('{"prompt": "a \\" b", "n": 1}', '{"prompt": "***", "n": 1}'),
    ("[{'role': 'user', 'content': 'words'}]", "[{'role': 'user', 'content': '***'}]"),
    (
        "Receive: obj=GenerateReqInput(rid='r', text='words', input_ids=[1, 2])",
        "Receive: obj=GenerateReqInput(rid='r', text='***', input_ids=[***])",
    ),
    (
        "text_generation_router: src/server.rs:1: Input: words",
        "text_generation_router: src/server.rs:1: Input: ***",
    ),
]

HARMLESS = [
    "SamplingParams(max_tokens=16, stop_token_ids=[2], skip_special_tokens=True)",
    "num_speculative_tokens: 5, max_num_batched_tokens=2048, kv_cache_tokens=14400",
    "tokenizer='meta-llama/Llama-2-7b', tokenizer_mode=auto, skip_tokenizer_init=False",
    "Avg prompt throughput: 10.0 tokens/s, gen throughput (token/s): 12.3",
    "eos_token='</s>', pad_token_id=0, bos_token=<s>",
    "time_to_first_token: 0.31, per_output_token=0.02",
    "api_key=None, hf_token=None, use_auth_token=True, token=''",
    "num_key_value_heads=8, key_value=3, sort_key=name, cache_key=4f2a",
    "hf_config=x, hf_overrides={}, hf_transfer enabled",
    "ssl_keyfile='/etc/tls/key.pem'",
    "SyntaxError: unexpected token: identifier",
    "KeyError: 'model.layers.0.weight'; monkey: see, PWD=/home/user",
    "http://127.0.0.1:8000/v1/models and git+ssh://git@host/x",
    "export HF_TOKEN=$HF_TOKEN, or --hf-token <your token>",
    "the flag --api-key is deprecated",
    "['--api-key', '--model', 'm']",
    '{"name": "HF_TOKEN", "valueFrom": {"n": 1}}',
    "Received request c-1: prompt: None, params: p, prompt_token_ids: None, lora_request: None.",
    "task-1234567890abcdef on disk-a1",
    "Token::kind == token == 3",
    "Bearer authentication failed",
]


@pytest.mark.parametrize(("line", "expected"), SECRETS + PROMPTS)
def test_secrets_and_prompts_are_masked_and_their_shape_stays(line: str, expected: str) -> None:
    assert redact(line) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize("line", HARMLESS)
def test_harmless_look_alikes_stay(line: str) -> None:
    assert redact(line) == line


PARTS = [part for line, _ in SECRETS for part in re.split(r"(\W)", line) if part]


@given(st.lists(st.sampled_from([*PARTS, " ", "ſ", "K", "İ", "Bearer ", "://", "a1b2c3d4e5f6a7b8"]), max_size=12))
def test_what_a_shape_needs_is_in_every_text_that_has_it(parts: list[str]) -> None:
    text = everywhere = "".join(parts)
    for _, rule in shapes._RULES:
        everywhere = re.sub(rule, r"\g<1>***", everywhere)
    assert shapes.mask_shapes(text) == everywhere


@pytest.mark.parametrize("name", ["api_key", "--hf-token", "VLLM_API_KEY", "db.password", "clientSecret", "token"])
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", "--max-num-batched-tokens", "tokenizer", "eos_token", "key", "sort_key", "PWD"])
def test_other_names_are_no_secrets(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b1;31mred", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r\x1b\\text", "text"),
        ("\x9d0;title\x9ctext", "text"),
        ("\x1b]0;CUDA out of memory", "0;CUDA out of memory"),
        ("\x1b(Btext\x1bc", "text"),
        ("a\tb\r\nc", "a b  c"),
        ("a\u202eb\u200bc\u2066d\ufeff", "abcd"),
        ("a\x00b\x7fc\x85d", "abc d"),
        ("\ud800", "\ufffd"),
        ("größe 模型 µs", "größe 模型 µs"),
    ],
)
def test_clean_keeps_only_what_prints(raw: str, expected: str) -> None:
    assert clean(raw) == expected


hostile_text = st.text(
    st.one_of(st.characters(), st.sampled_from("\x1b\x9b\x9d\x90\x9c\x07[]P\\;m0\t\n\r\u202e\u200b\ud800"))
)


@given(hostile_text)
def test_clean_leaves_no_control_characters_and_is_idempotent(raw: str) -> None:
    cleaned = clean(raw)
    assert not [c for c in cleaned if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}]
    assert not set(cleaned) & set("\u200b\u200e\u202a\u202e\u2066\u2069\ufeff")
    assert clean(cleaned) == cleaned


@given(hostile_text, st.text(st.characters(categories=["Lu", "Ll", "Nd"]), min_size=8))
def test_a_secret_after_its_name_never_shows(around: str, secret: str) -> None:
    secret = f"S3cr{secret}t"
    assert secret not in quote(f"api_key='{secret}' {around.replace(secret, '')}", limit=10_000)


def test_an_escape_sequence_cannot_hide_a_secrets_name() -> None:
    assert quote("api\x1b[1m_k\u200bey=hunter2") == "api_key=***"


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "_key",
        "key=",
        "token='",
        "api_key=[",
        "(",
        "[",
        "prompt: '",
        "prompt: [",
        "eyJ",
        "eyJaaaaa.",
        "sk-",
        "://",
        "://a:",
        "bearer ",
        "-----BEGIN PRIVATE KEY-----",
        "hf_",
        "\\",
        "'\\",
        '\\"',
        " ",
        "--api-key ",
        "api_key=a,",
        "&token=",
        "'HF_TOKEN', ",
        "Received request : prompt: ",
        "data:a;base64,",
        "-",
        "a.",
        "\x1b",
        "\x1b[",
        "\x1b]",
        "\x9d",
        "\x1b[0;",
        "\x90a",
    ],
)
@pytest.mark.no_cover
def test_a_hostile_megabyte_ends(unit: str) -> None:
    """Work that grew with the square of the length would run for hours here."""
    line = unit * (MILLION // len(unit))
    assert len(quote(line)) <= 300


def test_a_long_line_is_shortened_in_the_middle() -> None:
    line = "start " + "x" * MILLION + " end"
    short = quote(line, limit=60)
    assert len(short) == 60
    assert short.startswith("start x")
    assert "…" in short
    assert short.endswith("x end")
    assert quote("short", limit=60) == "short"


def test_shortening_shows_nothing_that_was_masked() -> None:
    assert quote("password=" + "hunter2" * 100, limit=40) == "password=***"
