"""Words that stand in many lines of the recorded logs of all engines: text made of them alone selects little.

Chosen by counting, word by word, in what share of a recording's lines it stands. Some lack their first letter, which a
wording leaves open (`[Ff]ailed`).
"""

from __future__ import annotations

_WORDS = """
a access added address after ailed already an and api api_server are args as at attribute available backend
batch be but by cache caching call can cannot capability capture capturing chat chunked client code compilation
compile compiled compiling config connect connection context core could cpu cuda cudagraph cudagraphs deepgemm
default device disabled disabling does dtype during eager enable enabled encountered enforce engine error errors
exceed exceeded exceeds exception exceptions execute executing exit expected failed false file files for found
from full fused generate generated generating generation gpu graph graphs has hat have hit host http http_server
https hunked id images in include increase inductor infer info init initialized initializing input inputs
installed instance instead invalid is it kernel key kv last latest launch launched len levelname lib library
libs like limit line load loaded loading loads local log logs long main match max max_num_batched_tokens memory
message method methods mode model models more most must nable name need no non none not null object of off on
only open operation or order out output outputs path per performance pid please port post prefill prefix
priority process processing prompt prompts pytorch quantization queue rank rate ready receive received recent
release render request requested requests required requires reset response responses result return rompt root
route row run running safe same see self send served server set setting shape shard shared should size sizes
skip slot small specified start started starting state stop stream success support supported supports task
template text than that the there this time timeout to token tokenizer tokens too took torch total triton true
try type unknown up update usage use used using valid value values version via vllm waiting warmup warn warning
warnings was weight weights when will with worker workers you your
"""

COMMON_WORDS = frozenset(_WORDS.split())
