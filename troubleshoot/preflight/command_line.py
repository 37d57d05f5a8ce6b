"""The words that a container runs: its command and arguments, and those of a script that a ConfigMap gives it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.workload import Word

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_LONGEST_SCRIPT = 100_000


def words_of(container: Field, pod: Field, config_maps: Mapping[str, KubeObject]) -> tuple[Word, ...]:
    """The words of a container's command and arguments.

    `bash -c "..."` and a script from a ConfigMap (by name, in the pod's namespace) give the words of the script.
    """
    words = tuple(Word(item.text, item) for key in ("command", "args") for item in container.at(key).items())
    script = _inline_script(words) or _script(_script_path(words), container, pod, config_maps)
    return (*words, *_split(script)) if script else words


def script_config_maps(container: Field, pod: Field) -> list[str]:
    """The names of the ConfigMaps that may hold the script that a container runs; most containers run none."""
    words = [Word(item.text, item) for key in ("command", "args") for item in container.at(key).items()]
    path = "" if _inline_script(words) else _script_path(words)
    return [name for name, _ in _mounted(path, container, pod) if name]


def _inline_script(words: Sequence[Word]) -> Field | None:
    """What stands behind a shell's `-c`."""
    if not _is_shell(words):
        return None
    for word, following in pairwise(words[1:]):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word.text):
            return following.field
        if not word.text.startswith("-"):
            return None
    return None


def _script_path(words: Sequence[Word]) -> str:
    """The file that is run: by a shell its first argument, else the program itself."""
    if _is_shell(words):
        return next((word.text for word in words[1:] if not word.text.startswith("-")), "")
    return words[0].text if words else ""


def _is_shell(words: Sequence[Word]) -> bool:
    return bool(words) and words[0].text.rpartition("/")[2] in _SHELLS


def _script(path: str, container: Field, pod: Field, config_maps: Mapping[str, KubeObject]) -> Field | None:
    """The text of a mounted file, where a ConfigMap that is known holds it."""
    for config_map, key in _mounted(path, container, pod):
        found = config_maps.get(config_map)
        script = found.root.at("data", key) if found else None
        if script is not None and script.exists:
            return script
    return None


def _mounted(path: str, container: Field, pod: Field) -> Iterator[tuple[str, str]]:
    """The ConfigMaps that are mounted where a file is, each with the key that the file would be."""
    folder, _, name = path.rpartition("/")
    for mount in container.at("volumeMounts").items():
        inner = mount.at("subPath").text
        at = mount.at("mountPath").text.rstrip("/")
        if at != (path if inner else folder):
            continue
        volume = next((v for v in pod.at("volumes").items() if v.at("name").text == mount.at("name").text), None)
        if volume is None or not volume.at("configMap").exists:
            continue
        key = inner or name
        for item in volume.at("configMap", "items").items():
            if item.at("path").text == key:
                key = item.at("key").text
        yield volume.at("configMap", "name").text, key


def _split(script: Field) -> Iterator[Word]:
    """The words of a script, each at its line; without comments. What a shell would refuse is split at spaces."""
    for number, line in enumerate(script.text[:_LONGEST_SCRIPT].splitlines()):
        text = line.rstrip().removesuffix("\\")
        if text.lstrip().startswith("#"):
            continue
        try:
            words = list(_lexer(text))
        except ValueError:
            words = text.split()
        place = Field(script.value, script.origin, (*script.path, number))
        yield from (Word(word, place) for word in words)


def _lexer(text: str) -> shlex.shlex:
    """Words as a shell parts them, with `;`, `&&` and `|` as words of their own."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|")
    lexer.whitespace_split = True
    return lexer
