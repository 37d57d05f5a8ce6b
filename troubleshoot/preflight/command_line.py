"""The words that a container runs: its command and arguments, and those of a script that a ConfigMap gives it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence

from troubleshoot.preflight.objects import Field, KubeObject
from troubleshoot.preflight.workload import Word

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_LONGEST_SCRIPT = 100_000


def words_of(container: Field, pod: Field, config_maps: Mapping[str, KubeObject]) -> tuple[Word, ...]:
    """The words of a container's command and arguments.

    `bash -c "..."` and a script from a ConfigMap (by name, in the pod's namespace) give the words of the script.
    """
    words = [Word(item.text, item) for key in ("command", "args") for item in container.at(key).items()]
    program = words[0].text.rpartition("/")[2] if words else ""
    if program in _SHELLS:
        return (*words, *_of_shell(words[1:], container, pod, config_maps))
    script = _script(words[0].text, container, pod, config_maps) if words else None
    return (*words, *_split(script)) if script else tuple(words)


def _of_shell(
    words: Sequence[Word], container: Field, pod: Field, config_maps: Mapping[str, KubeObject]
) -> Iterator[Word]:
    for position, word in enumerate(words):
        if re.fullmatch(r"-[a-z]*c[a-z]*", word.text) and position + 1 < len(words):
            yield from _split(words[position + 1].field)
            return
        if not word.text.startswith("-"):
            script = _script(word.text, container, pod, config_maps)
            if script is not None:
                yield from _split(script)
            return


def _script(path: str, container: Field, pod: Field, config_maps: Mapping[str, KubeObject]) -> Field | None:
    """The text of a mounted file, where a ConfigMap among the manifests holds it."""
    folder, _, name = path.rpartition("/")
    for mount in container.at("volumeMounts").items():
        inner = mount.at("subPath").text
        at = mount.at("mountPath").text.rstrip("/")
        if at != (path if inner else folder):
            continue
        volume = next((v for v in pod.at("volumes").items() if v.at("name").text == mount.at("name").text), None)
        found = config_maps.get(volume.at("configMap", "name").text) if volume else None
        if found is None or volume is None:
            continue
        key = inner or name
        for item in volume.at("configMap", "items").items():
            if item.at("path").text == key:
                key = item.at("key").text
        script = found.root.at("data", key)
        if script.exists:
            return script
    return None


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
