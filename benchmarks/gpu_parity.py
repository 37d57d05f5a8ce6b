"""The exporter's GPU series beside `nvidia-smi -q -x` of the same moment, on a real GPU, idle and under load.

    python -m benchmarks.gpu_parity [--user 65534] [--seconds 20]

Needs an NVIDIA GPU, and PyTorch for the load. Runs the exporter as an unprivileged user (`--user 0`: as it is).
Prints every field with both values and the difference allowed, the values that nvidia-smi -q does not have, and
what the exporter costs with all fields on. Exits with 1 where a field differs. gpu_parity.txt is the output of
a run on two H200s, joined by NVLink.
"""

from __future__ import annotations

import argparse
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from catalog.exposition import parse
from catalog.gpu import GPU_FIELDS

_LOAD = """
import time, torch
gpus = range(torch.cuda.device_count())
a = [torch.randn(8192, 8192, device=f"cuda:{{gpu}}", dtype=torch.bfloat16) for gpu in gpus]
b = [torch.empty(1 << 30, device=f"cuda:{{gpu}}", dtype=torch.uint8) for gpu in gpus]
c = [torch.empty_like(b[gpu]) for gpu in gpus]
host = torch.empty(1 << 28, dtype=torch.uint8, pin_memory=True)
end = time.monotonic() + float({seconds})
while time.monotonic() < end:
    for _ in range(40):
        for gpu in gpus:
            a[gpu] = (a[gpu] @ a[gpu]).mul_(1e-4)
    for gpu in gpus:
        c[gpu].copy_(b[gpu - 1])
        host.copy_(b[gpu][: 1 << 28])
    for gpu in gpus:
        torch.cuda.synchronize(gpu)
"""
_PREFIX = "DCGM_FI_DEV_"


@dataclass(frozen=True, slots=True)
class Pair:
    """A field of the exporter, the element of nvidia-smi's XML, and by how much they may differ.

    `idle` and `busy` are absolute: two readings are up to a second apart, and some values move.
    """

    field: str
    element: str
    idle: float = 0.0
    busy: float = 0.0


# Power is a mean of a second, read at another moment: under load it swings by the limit's tenth.
PAIRS = (
    Pair("FB_TOTAL", "fb_memory_usage/total"),
    Pair("FB_USED", "fb_memory_usage/used", 1, 1),
    Pair("FB_FREE", "fb_memory_usage/free", 1, 1),
    Pair("FB_RESERVED", "fb_memory_usage/reserved", 1, 1),
    Pair("GPU_UTIL", "utilization/gpu_util", 2, 10),
    Pair("MEM_COPY_UTIL", "utilization/memory_util", 2, 30),
    Pair("ENC_UTIL", "utilization/encoder_util"),
    Pair("DEC_UTIL", "utilization/decoder_util"),
    Pair("GPU_TEMP", "temperature/gpu_temp", 2, 6),
    Pair("MEMORY_TEMP", "temperature/memory_temp", 2, 6),
    Pair("POWER_USAGE", "gpu_power_readings/average_power_draw", 15, 120),
    Pair("POWER_USAGE_INSTANT", "gpu_power_readings/instant_power_draw", 20, 350),
    Pair("POWER_MGMT_LIMIT", "gpu_power_readings/requested_power_limit"),
    Pair("ENFORCED_POWER_LIMIT", "gpu_power_readings/current_power_limit"),
    Pair("SM_CLOCK", "clocks/sm_clock", 1700, 400),
    Pair("MEM_CLOCK", "clocks/mem_clock"),
    Pair("PSTATE", "performance_state"),
    Pair("PCIE_LINK_GEN", "pci/pci_gpu_link_info/pcie_gen/current_link_gen"),
    Pair("PCIE_LINK_WIDTH", "pci/pci_gpu_link_info/link_widths/current_link_width"),
    Pair("PCIE_REPLAY_COUNTER", "pci/replay_counter"),
    Pair("ECC_SBE_VOL_TOTAL", "ecc_errors/volatile/dram_correctable"),
    Pair("ECC_DBE_VOL_TOTAL", "ecc_errors/volatile/dram_uncorrectable"),
    Pair("ECC_SBE_AGG_TOTAL", "ecc_errors/aggregate/dram_correctable"),
    Pair("ECC_DBE_AGG_TOTAL", "ecc_errors/aggregate/dram_uncorrectable"),
    Pair("CORRECTABLE_REMAPPED_ROWS", "remapped_rows/remapped_row_corr"),
    Pair("UNCORRECTABLE_REMAPPED_ROWS", "remapped_rows/remapped_row_unc"),
    Pair("ROW_REMAP_PENDING", "remapped_rows/remapped_row_pending"),
    Pair("ROW_REMAP_FAILURE", "remapped_rows/remapped_row_failure"),
)
_REASON_BITS = {
    "gpu_idle": 0x1,
    "applications_clocks_setting": 0x2,
    "sw_power_cap": 0x4,
    "hw_slowdown": 0x8,
    "sync_boost": 0x10,
    "sw_thermal_slowdown": 0x20,
    "hw_thermal_slowdown": 0x40,
    "hw_power_brake_slowdown": 0x80,
    "display_clocks_setting": 0x100,
}


def number(text: str) -> float | None:
    """Read nvidia-smi's text: "143771 MiB", "16x", "P0", "Yes"; None for N/A."""
    word = text.strip().split(" ")[0].removesuffix("x").removeprefix("P")
    if word in {"Yes", "No"}:
        return float(word == "Yes")
    try:
        return float(word)
    except ValueError:
        return None


def smi() -> dict[str, ElementTree.Element]:
    """Return nvidia-smi's answer by UUID."""
    text = subprocess.run(["nvidia-smi", "-q", "-x"], capture_output=True, check=True, timeout=60).stdout
    return {gpu.findtext("uuid", ""): gpu for gpu in ElementTree.fromstring(text).findall("gpu")}


def get(port: int, path: str = "/metrics") -> bytes:
    """Return a page of the exporter."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def compare(port: int, *, busy: bool) -> int:
    """Print every field beside nvidia-smi's; return how many differ by more than is allowed."""
    seen = smi()
    time.sleep(1.1)  # a collection a second: this one is of the same moment
    series = {(sample.name, sample.labels.get("UUID", "")): sample.value for sample in parse(get(port)).samples}
    wrong = 0
    for uuid, gpu in seen.items():
        print(f"\n{'under load' if busy else 'idle'}, {gpu.findtext('product_name')} {uuid[:12]}...")
        print(f"{'field':34} {'exporter':>12} {'nvidia-smi':>12} {'allowed':>8}")
        for pair in PAIRS:
            ours, theirs = series.get((_PREFIX + pair.field, uuid)), number(gpu.findtext(pair.element, "N/A"))
            allowed = pair.busy if busy else pair.idle
            if ours is None and theirs is None:
                verdict = "absent in both"
            elif ours is None or theirs is None or abs(ours - theirs) > allowed:
                verdict, wrong = "DIFFERS", wrong + 1
            else:
                verdict = "ok"
            print(f"{pair.field:34} {shown(ours):>12} {shown(theirs):>12} {allowed:8g}  {verdict}")
        mask = sum(
            bit
            for name, bit in _REASON_BITS.items()
            if gpu.findtext(f"clocks_event_reasons/clocks_event_reason_{name}") == "Active"
        )
        ours = series.get((f"{_PREFIX}CLOCKS_EVENT_REASONS", uuid))
        print(f"{'CLOCKS_EVENT_REASONS (bits)':34} {shown(ours):>12} {mask:>12} {'-':>8}  moves; not judged")
        print("profiling and NVLink, which nvidia-smi -q does not show:")
        for (name, of), value in sorted(series.items()):
            if of == uuid and name.startswith(("DCGM_FI_PROF_", f"{_PREFIX}NVLINK_", "inferwatch_gpu_nvlink_")):
                print(f"{name.removeprefix('DCGM_FI_'):48} {value:12.6g}")
    return wrong


def shown(value: float | None) -> str:
    """Return a value for the table."""
    return "absent" if value is None else f"{value:g}"


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def costs(port: int, pid: int, seconds: float) -> None:
    """Print what the exporter takes at a collection a second."""
    before = cpu_seconds(pid)
    time.sleep(seconds)
    cpu_ms = 1e3 * (cpu_seconds(pid) - before) / seconds
    taken = []
    for _ in range(100):
        begun = time.perf_counter()
        get(port)
        taken.append(time.perf_counter() - begun)
    rss = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
    uid = next(line.split()[1] for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "Uid" in line)
    print(f"\nas uid {uid}: {cpu_ms:.1f} ms CPU a collection of 1 s, RSS {rss:.1f} MiB, ", end="")
    print(f"a scrape {1e3 * sorted(taken)[50]:.2f} ms (median of 100, each with its own connection)")


@contextmanager
def load(seconds: float) -> Iterator[None]:
    """Keep the GPU busy: matrix products, copies on the GPU and to the host."""
    with subprocess.Popen([sys.executable, "-c", _LOAD.format(seconds=seconds)]) as process:
        time.sleep(10)
        if process.poll() is not None:
            raise SystemExit("the load ended early: is PyTorch installed?")
        try:
            yield
        finally:
            process.kill()


@contextmanager
def exporter(user: int) -> Iterator[tuple[int, int]]:
    """Run the exporter as a user; yields its process id and port."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        config = Path(folder) / "exporter.yaml"
        fields = ", ".join(name for name, field in GPU_FIELDS.items() if field.kind != "label")
        config.write_text(
            f"interval_seconds: 1\nkubernetes: {{discovery: none}}\ngpu: {{fields: {{include: [{fields}]}}}}\n"
        )
        port = 19400
        command = [sys.executable, "-m", "inferwatch", "exporter", "--config", str(config)]
        with subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{port}"],
            user=user or None,
            group=user or None,
            extra_groups=[] if user else None,
        ) as process:
            for _ in range(300):
                time.sleep(0.1)
                try:
                    if b"inferwatch_gpu_up{" in get(port):
                        break
                except OSError:
                    continue
            time.sleep(3)
            try:
                yield process.pid, port
            finally:
                process.terminate()


def main() -> int:
    """Compare, idle and busy, and print the costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int, default=65534, help="run the exporter as this uid; 0: as it is")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure the costs")
    options = parser.parse_args()
    with exporter(options.user) as (pid, port):
        print(get(port, "/readyz").decode())
        wrong = compare(port, busy=False)
        costs(port, pid, options.seconds)
        with load(options.seconds + 40):
            wrong += compare(port, busy=True)
            costs(port, pid, options.seconds)
    print(f"\n{wrong} fields differ" if wrong else "\nevery field agrees")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
