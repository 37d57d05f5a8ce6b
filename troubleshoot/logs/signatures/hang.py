"""Lines of an engine that waits for something that does not come.

Wordings: vLLM shm_broadcast (0.5.1 to 0.33), V0 multiprocessing client, SGLang's watchdog, TGI.
"""

from __future__ import annotations

from troubleshoot.logs.signature import Signature

SIGNATURES: tuple[Signature, ...] = (
    Signature(
        "shm_broadcast_wait",
        ("No available shared memory broadcast block", "No available block found in \\d"),
        fields=(r"found\s*in (?P<seconds>\d+)",),
    ),
    Signature(
        "engine_not_answering",
        (
            "Engine iteration timed out",
            "RPC call to \\w+ timed out",
            "MQLLMEngine didn.t reply within",
            "RPCServer didn.t reply within",
            "[Ww]atchdog timeout",
            "couldn.t get a response from detokenizer",
            "Health check failed\\. Server couldn.t",
            "[Ee]ngine is stuck|[Ee]ngine is hung|[Ee]ngine is unresponsive|[Ee]ngine (?:is )?not responding",
            "[Ss]cheduler (?:is )?(?:stuck|hung)",
            "TimeoutError: RPC call",
            "blocked for more than \\d+ seconds",
        ),
        fields=(r"(?P<text>.{0,200})",),
    ),
    Signature(
        "startup_timeout",
        (
            "Timed out waiting for engine core processes to start",
            "Did not receive response from front-end process",
            "Engine (?:core|process) startup timed out",
        ),
        fields=(r"Waited (?P<seconds>\d+)s",),
    ),
)
