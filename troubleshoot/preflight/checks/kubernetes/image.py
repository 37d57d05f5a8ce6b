"""Images that stay the same."""

from __future__ import annotations

from collections.abc import Iterable

from troubleshoot.preflight.checks.base import Fix, Judgement, Severity, Subject, WorkloadCheck

_MOVING = frozenset({"latest", "nightly", "main", "master", "dev", "edge", "stable", "head"})


class PinnedImage(WorkloadCheck):
    """A tag that moves gives replicas of two versions, and a rollback that changes nothing."""

    id = "image"
    severity = Severity.WARNING
    title = "The image is not pinned"
    needs = "the containers' images"

    def applies(self, subject: Subject) -> bool:
        """Every part of an inference service."""
        return subject.serves

    def judge(self, subject: Subject) -> Iterable[Judgement]:
        """See the class."""
        for container in subject.workload.containers:
            field = container.field.at("image")
            image = container.image
            if not field.exists:
                if "arguments" in subject.workload.supplied:
                    yield self.not_checked(subject.title, "the serving runtime or preset that gives the image")
                continue
            moving = image.tag.lower() in _MOVING or image.tag.lower().startswith(("latest-", "nightly-"))
            if image.digest:
                continue
            if not image.tag or moving:
                tag = f":{image.tag}" if image.tag else "no tag, which is :latest"
                yield self.finding(
                    subject.title,
                    field,
                    f"The image of {container.name} has {tag}: what runs changes with the next pod.",
                    Fix("image", field.text, f"{image.name}:VERSION@sha256:...", "a release and its digest"),
                )
            elif container is subject.container:
                yield self.finding(
                    subject.title,
                    field,
                    f"{image.repository}:{image.tag} is pinned by its tag alone, which can be moved.",
                    Fix("image", image.tag, f"{image.tag}@sha256:...", "the digest of the release that was tested"),
                    severity=Severity.INFO,
                    title="The image has no digest",
                )
