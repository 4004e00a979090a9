# A worker for CPUs: OpenVINO, no torch. BASE: any Debian or Ubuntu with Python ≥ 3.11 to be had.
ARG BASE=python:3.12-slim-bookworm

FROM ${BASE} AS build
RUN command -v python3 || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/painter \
    && /opt/painter/bin/pip install --no-cache-dir --constraint constraints.txt .

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libxcb1 \
       $(command -v python3 > /dev/null || echo python3) \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --home-dir /home/painter --create-home painter
COPY --from=build /opt/painter /opt/painter
COPY docker/health.py /opt/painter/health.py
ENV PATH=/opt/painter/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /home/painter
# A worker of this host gave a sign of life within 6 s; networks take a while to load.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python", "/opt/painter/health.py", "worker"]
ENTRYPOINT ["painter"]
CMD ["work", "--devices", "cpu"]
