# A worker for NVIDIA cards: torch, whose wheels bring CUDA; the base adds what the container runtime asks of an image.
ARG BASE=nvidia/cuda:13.0.1-base-ubuntu24.04

FROM ${BASE} AS build
RUN command -v python3 || { apt-get update && apt-get install -y --no-install-recommends python3-venv; }
WORKDIR /src
COPY . .
RUN python3 -m venv /opt/painter \
    && /opt/painter/bin/pip install --no-cache-dir --constraint constraints.txt '.[gpu]'

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
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s CMD ["python", "/opt/painter/health.py", "worker"]
ENTRYPOINT ["painter"]
CMD ["work"]
