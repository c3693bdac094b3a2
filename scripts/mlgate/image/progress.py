"""What a build says, read: which steps were run, why it failed, how to mend it."""

from __future__ import annotations

import re


def note(line: str, steps: dict[str, str]) -> None:
    """Remembers which steps of the Dockerfile were run, in the words of either builder."""
    if found := re.match(r"#(\d+) \[[^\]]*\d+/\d+\] (?:RUN|COPY|ADD|WORKDIR)\b", line):
        steps.setdefault(found[1], "ran")
    elif found := re.match(r"#(\d+) CACHED", line):
        steps[found[1]] = "cached"
    elif found := re.match(r"Step (\d+)/\d+ : (?:RUN|COPY|ADD)\b", line):
        steps[found[1]] = "ran"
        steps["last"] = found[1]
    elif re.match(r"Step \d+/\d+ : ", line):
        steps.pop("last", None)
    elif line.startswith(" ---> Using cache") and "last" in steps:
        steps[steps["last"]] = "cached"


_NOISE = re.compile(
    r"^(?:#\d+ (?:DONE|CACHED|sha256)|-{3,}|\s*>{3}|\s*\d+ \|\s*|The command |ERROR: failed to (?:solve|build))"
)


def reason(lines: list[str]) -> str:
    """The line of a failed build that says most: pip's or the builder's own error, not the frame around it."""
    bare = [re.sub(r"^#\d+ (?:[\d.]+ )?", "", line).strip() for line in lines]
    for number in reversed(range(len(bare) - 1)):
        if bare[number].endswith(":"):  # what it announces is on the next line
            bare[number] += f" {bare[number + 1]}"
    errors = [line for line in bare if re.match(r"(?:ERROR|E|error):? ", line) and not _NOISE.match(line)]
    errors = [line for line in errors if "executor failed" not in line and "did not complete" not in line] or errors
    said = (
        errors[-1] if errors else next((line for line in reversed(bare) if line and not _NOISE.match(line)), "no word")
    )
    return re.sub(r"^(?:ERROR|error):? ", "", said)[:400].rstrip(".")


def advice(text: str) -> str:
    """How to mend what pip and the builder complain of most."""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return "The build does not trust the index: give its certificate as the secret `ca.crt` (image.secrets)."
    if "THESE PACKAGES DO NOT MATCH THE HASHES" in text:
        return "A file of the index is not the locked one: lock the requirements again, or find out why."
    if "gcc" in text or "build wheel" in text or "Failed building wheel" in text:
        return "A package has no wheel for this Python and platform: lock one that has, or bring your own Dockerfile."
    if "No matching distribution" in text:
        return "The base's Python or platform differs from the one that the requirements were locked for."
    if "No module named venv" in text or "ensurepip" in text:
        return "The base image needs Python with venv: `python:X.Y-slim` has it."
    return ""
