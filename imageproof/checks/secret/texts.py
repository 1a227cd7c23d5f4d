"""Texts shared by the checks for secrets in an image."""

CIS = "CIS Docker Benchmark 4.10; https://docs.docker.com/build/building/secrets/"
REMEDY = (
    "Pass the secret to the build (`RUN --mount=type=secret`) or to the container at run time. "
    "Then replace it: everyone who pulled the image has it."
)
