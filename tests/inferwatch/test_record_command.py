"""`inferwatch record`: what a replayed engine shows, taken down without secrets, diagnosed and replayed elsewhere."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from inferwatch.cli import root
from recordings.reader import load, scrapes
from recordings.replay import ReplayServer
from troubleshoot.redact import MASK

SECRETS = {
    "hugging face": "hf_PlantedAbCdEfGhIjKl0123456789",
    "openai": "sk-planted-0123456789abcdefghijklmn",
    "aws id": "AKIAPLANTED123456789",
    "aws secret": "pLantedSecretAccess/Key+0123456789abcdef",
    "jwt": "eyJhbGciOiJQbGFudGVk.eyJzdWIiOiJwbGFudGVk.c2lnbmF0dXJlLXBsYW50ZWQ",
    "password": "hunter2-planted",
    "url password": "urlpass-planted",
    "query": "query-planted-9",
    "bearer": "bearer0planted1token2",
    "basic": "b25jYWxsOnBsYW50ZWQ=",
    "cookie": "sessionid-planted",
    "header": "apikey-planted-77",
    "flag": "flagkey-planted",
    "list": "listed-planted",
    "json": "json-planted-value",
    "wandb": "wandbplanted0123456789",
    "prompt": "patient Doe planted",
    "completion": "diagnosis planted",
    "key line": "MIIEvplantedplantedplanted",
    "github": "ghp_planted0123456789ABCDEFGH",
    "slack": "xoxb-planted-0123456789012",
    "azure": "AccountKey=plantedplantedplanted==",
    "signed": "Xplantedsignature9",
    "env of the shell": "only-in-this-shell-planted",
}
S = SECRETS
_API = "(APIServer pid=1) INFO 11-22 01:00:00 [a.py:1]"
LINES = [
    f"{_API} non-default args: {{'api_key': ['{S['list']}'], 'hf_token': '{S['hugging face']}'}}",
    f"{_API} Namespace(host=None, api_key='{S['openai']}', max_num_seqs=7)",
    f"+ vllm serve m --api-key {S['flag']} --max-num-seqs 7",
    f"HF_TOKEN={S['hugging face']} AWS_ACCESS_KEY_ID={S['aws id']} AWS_SECRET_ACCESS_KEY={S['aws secret']} vllm",
    f"environ({{'WANDB_API_KEY': '{S['wandb']}', 'HOME': '/root', 'DB_PASSWORD': '{S['password']}'}})",
    f"downloading https://user:{S['url password']}@models.example/llama?token={S['query']}&rev=1",
    f"GET https://s3.example/w.bin?X-Amz-Signature={S['signed']}&X-Amz-Date=1",
    f"headers: {{'Authorization': 'Bearer {S['bearer']}', 'X-Api-Key': '{S['header']}', 'accept': '*/*'}}",
    f"Authorization: Basic {S['basic']}",
    f"Authorization: Bearer {S['jwt']}",
    f"Cookie: sid={S['cookie']}; theme=dark",
    f'{{"level": "info", "config": {{"client_secret": "{S["json"]}"}}}}',
    f"{_API} Received request cmpl-1: prompt: '{S['prompt']}', params: P(n=1), prompt_token_ids: [1, 31337]",
    f"{_API} Generated response cmpl-1: output: '{S['completion']}', output_token_ids: [5]",
    "-----BEGIN RSA PRIVATE KEY-----",
    S["key line"],
    "-----END RSA PRIVATE KEY-----",
    f"git clone https://{S['github']}@github.example/x; slack {S['slack']}",
    f"DefaultEndpointsProtocol=https;{S['azure']}",
    f"plain words around {S['env of the shell']} and nothing that tells",
    f"\x1b[31mHF_\x1b[0mTOKEN={S['hugging face']}",
]
PAGE = f"""# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="m"}} 1
# TYPE vllm:cache_config_info gauge
vllm:cache_config_info{{api_key="{S["header"]}",note="{S["env of the shell"]}"}} 1
vllm:cache_config_info{{path="https://u:{S["url password"]}@h/m"}} 1
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="m"}} 7
"""


@pytest.fixture
def engine() -> Iterator[str]:
    """An endpoint that shows `PAGE`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"http://oncall:{S['url password']}@127.0.0.1:{server.server_port}/metrics?token={S['query']}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(*words: str, stdin: str | None = None) -> Result:
    result = CliRunner().invoke(root, [*words], prog_name="inferwatch", input=stdin)
    assert "Traceback" not in result.output
    return result


def contents(path: Path) -> dict[str, str]:
    """Every file of a recording, unpacked."""
    if path.is_dir():
        found = {each.name: each.read_bytes() for each in path.iterdir()}
    else:
        with tarfile.open(path) as archive:
            found = {m.name.rpartition("/")[2]: archive.extractfile(m).read() for m in archive}  # type: ignore[union-attr]
    return {name: (gzip.decompress(data) if name.endswith(".gz") else data).decode() for name, data in found.items()}


@pytest.mark.parametrize("output", ["run", "run.tar.gz", "run.tar"])
def test_no_secret_is_in_a_recording(engine: str, tmp_path: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_VAULT_TOKEN", S["env of the shell"])
    (tmp_path / "engine.log").write_text("\n".join(LINES) + "\n")
    (tmp_path / "requests.csv").write_text(f"start,error\n1,HTTP 401 Authorization: Bearer {S['bearer']}\n")
    words = ["--metrics", engine, "--log", str(tmp_path / "engine.log"), "--requests", str(tmp_path / "requests.csv")]
    result = run("record", *words, "--duration", "1s", "-o", str(tmp_path / output))

    assert result.exit_code == 0, result.output
    found = contents(tmp_path / output)
    assert set(found) == {"meta.yaml", "engine.log", "metrics.om.gz", "requests.csv.gz"}
    whole = "\n".join(found.values()) + result.output + result.stderr
    left = {kind: secret for kind, secret in SECRETS.items() if secret.removeprefix("AccountKey=") in whole}
    assert left == {}
    assert "planted" not in whole.lower()
    assert "127.0.0.1" not in found["metrics.om.gz"]
    # What is no secret stays: lines, names, settings.
    assert len(found["engine.log"].splitlines()) == len(LINES)
    assert "max_num_seqs=7" in found["engine.log"]
    assert f"api_key': ['{MASK}']" in found["engine.log"]
    assert 'vllm:num_requests_running{job="engine",instance="engine:' in found["metrics.om.gz"]


def test_a_plant_that_is_not_masked_would_be_found(engine: str, tmp_path: Path) -> None:
    (tmp_path / "engine.log").write_text(f"{LINES[-2]}\n")
    run("record", "--log", str(tmp_path / "engine.log"), "-o", str(tmp_path / "run"))

    assert "planted" in contents(tmp_path / "run")["engine.log"]  # nothing names it, and no variable holds it


def test_a_recording_is_diagnosed_and_replayed_elsewhere(tmp_path: Path) -> None:
    recording = load("kv_preemption")
    with ReplayServer(recording, start="ready", speed=10) as server:
        words = ["--metrics", server.url, "--log", str(recording.log_path), "--duration", "3s"]
        assert run("record", *words, "-o", str(tmp_path / "run.tar.gz")).exit_code == 0
    archive = tmp_path / "elsewhere.tar.gz"
    (tmp_path / "run.tar.gz").rename(archive)
    result = run("diagnose", "--recording", str(archive), "--format", "json")

    found = json.loads(result.stdout)
    assert found["findings"][0]["cause"] == "thr_preemption_thrash"
    assert found["engine"]["version"] == recording.engine_version
    assert [item["name"] for item in found["inputs"]] == [f"{archive}/metrics.om.gz", f"{archive}/engine.log"]

    # The same as a folder, by --log and --metrics too, and played back.
    folder = tmp_path / "folder"
    folder.mkdir()
    with tarfile.open(archive) as opened:
        for member in opened:
            (folder / member.name.rpartition("/")[2]).write_bytes(opened.extractfile(member).read())  # type: ignore[union-attr]
    again = json.loads(run("diagnose", "--log", str(folder), "--metrics", str(folder), "--format", "json").stdout)
    assert [one["cause"] for one in again["findings"]] == [one["cause"] for one in found["findings"]]
    assert load(folder).engine == "vllm"
    assert sum(scrape.up for scrape in scrapes(load(folder))) >= 2
    words = [sys.executable, "-m", "inferwatch", "replay", str(archive), "--once", "--speed", "10000"]
    played = subprocess.run(words, capture_output=True, timeout=60, check=True)
    assert played.stdout == (folder / "engine.log").read_bytes()


def test_an_endpoint_that_wants_a_token_gets_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(S["bearer"])
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            self.send_response(200 if asked[-1] else 401)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        words = ["--metrics", f"http://127.0.0.1:{server.server_port}/metrics", "--duration", "1s"]
        refused = run("record", *words, "-o", str(tmp_path / "refused"))
        taken = run("record", *words, "--bearer-token-file", str(token), "-o", str(tmp_path / "run"))
        server.shutdown()
        thread.join()

    assert refused.exit_code == 2
    assert "answered 401 Unauthorized; give --bearer-token-file or --basic-user" in refused.stderr
    assert taken.exit_code == 0, taken.output
    assert set(asked[1:]) == {f"Bearer {S['bearer']}"}
    assert S["bearer"] not in "".join(contents(tmp_path / "run").values()) + taken.output


def test_credentials_are_for_metrics(tmp_path: Path) -> None:
    result = run("record", "--log", "x", "--tls-insecure", "-o", str(tmp_path / "run"))
    assert (result.exit_code, "--tls-insecure needs --metrics URL" in result.stderr) == (2, True)


@pytest.mark.parametrize("name", ["kv_preemption", "llamacpp_busy", "triton_queue_reject"])
def test_what_is_recorded_is_what_was_served(name: str, tmp_path: Path) -> None:
    with ReplayServer(load(name), start="ready") as server:
        run("record", "--metrics", server.url, "--duration", "1s", "-o", str(tmp_path / "run"))
        served = server.current_scrape()
    assert served is not None
    recorded = [scrape for scrape in scrapes(load(tmp_path / "run")) if scrape.up]

    def series(page: bytes) -> set[bytes]:
        return {line.rpartition(b" ")[0] for line in page.splitlines() if not line.startswith(b"#")}

    def types(page: bytes) -> set[bytes]:
        return {line for line in page.splitlines() if line.startswith(b"# TYPE")}

    assert {len(series(one.exposition)) for one in recorded} == {len(series(served.exposition))}
    assert series(recorded[0].exposition) == series(served.exposition)
    assert types(recorded[0].exposition) == types(served.exposition)


def test_a_log_from_standard_input(engine: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "inferwatch", "record", "--metrics", engine, "--log", "-", "--duration", "1s"]
    text = f"INFO 11-22 01:00:00 [x.py:1] hello\nHF_TOKEN={S['hugging face']}\n"
    subprocess.run(
        [*words, "-o", "run"], input=text, text=True, cwd=tmp_path, timeout=60, check=True, capture_output=True
    )

    assert contents(tmp_path / "run")["engine.log"] == f"INFO 11-22 01:00:00 [x.py:1] hello\nHF_TOKEN={MASK}\n"


def test_an_engine_that_is_gone_leaves_its_log(tmp_path: Path) -> None:
    (tmp_path / "engine.log").write_text("INFO 11-22 01:00:00 [x.py:1] hello\n")
    words = ["--metrics", "http://127.0.0.1:1/metrics", "--log", str(tmp_path / "engine.log"), "--duration", "1s"]
    result = run("record", *words, "-o", str(tmp_path / "run"))

    assert result.exit_code == 0
    assert "connection refused" in result.stderr
    assert [scrape.up for scrape in scrapes(load(tmp_path / "run"))] == [False]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "nothing to record"),
        (["--metrics", "http://127.0.0.1:1"], "neither metrics nor log could be read; nothing was written"),
        (["--log", "missing.log"], "neither metrics nor log could be read; nothing was written"),
        (["--log", "x", "--duration", "soon"], "is no duration"),
    ],
)
def test_what_cannot_be_recorded_is_said(tmp_path: Path, words: list[str], told: str) -> None:
    result = run("record", *words, "-o", str(tmp_path / "run"))

    assert result.exit_code == 2
    assert told in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("output", ["folder", "file.tar.gz"])
def test_nothing_is_overwritten(tmp_path: Path, output: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "engine.log").write_text("mine")
    (tmp_path / "file.tar.gz").write_text("mine")
    (tmp_path / "engine.log").write_text("x\n")
    result = run("record", "--log", str(tmp_path / "engine.log"), "-o", str(tmp_path / output))

    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert (tmp_path / "file.tar.gz").read_text() == (tmp_path / "folder" / "engine.log").read_text() == "mine"


# Archives from strangers


def archive(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as out:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content), kind, "/etc/passwd"
            out.addfile(entry, io.BytesIO(content))
    return path


GOOD = {
    "meta.yaml": b"name: x\n",
    "engine.log": b"INFO 11-22 01:00:00 [x.py:1] hello\n",
    "metrics.om.gz": gzip.compress(b"x 1\n"),
}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_an_archive_are_not_followed(tmp_path: Path, kind: bytes) -> None:
    path = archive(tmp_path / "x.tar.gz", dict.fromkeys(GOOD, b""), kind)

    assert run("diagnose", "--recording", str(path)).exit_code == 2
    assert "root:" not in run("diagnose", "--recording", str(path)).output
    assert run("replay", str(path), "--once").exit_code == 2


@pytest.mark.parametrize("prefix", ["../", "/tmp/", "a/b/c/"])
def test_paths_in_an_archive_lead_nowhere(tmp_path: Path, prefix: str) -> None:
    path = archive(tmp_path / "x.tar.gz", {prefix + name: content for name, content in GOOD.items()})
    before = sorted(tmp_path.rglob("*"))

    assert run("replay", str(path), "--once").exit_code == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_archive_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    noise = b"".join(b"line %d %d\n" % (number, number * 7919 % 10007) for number in range(40_000))
    path = archive(tmp_path / "x.tar.gz", {**GOOD, "engine.log": noise})
    path.write_bytes(path.read_bytes()[:-30_000])
    result = run("diagnose", "--log", str(path))
    assert result.exit_code == 3
    assert "damaged archive" in " ".join(result.stdout.split())

    path.write_bytes(b"no archive at all")
    assert run("diagnose", "--recording", str(path)).exit_code in (2, 3)
    assert run("replay", str(path), "--once").exit_code == 2


def test_an_archive_that_is_no_recording_is_told_as_before(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.tar.gz", {"notes.txt": b"hello"})

    assert "is a tar archive" in run("diagnose", "--log", str(path)).stderr
