# Two images from one file: `docker build --target sidecar .` and `docker build --target controller .`
# Debian's own Python, the one that the tests run on. Both run as nobody in particular, on a read-only root; what they
# keep is in /var/lib/pointsman. Packages keep their metadata (dpkg's status, *.dist-info), from which an SBOM is made.

FROM debian:bookworm-slim AS python
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --user-group --no-create-home --shell /usr/sbin/nologin pointsman \
 && install --directory --owner=pointsman --group=pointsman --mode=0700 /var/lib/pointsman
ENV PATH=/opt/pointsman/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin PYTHONUNBUFFERED=1

FROM python AS build
RUN apt-get update \
 && apt-get install --yes --no-install-recommends python3-venv
COPY .ci/constraints.txt pyproject.toml README.md LICENSE /src/
COPY schemas /src/schemas
COPY sidecar /src/sidecar
COPY controller /src/controller

FROM build AS build-sidecar
# OpenTelemetry is 12 MB here and nothing in memory: it is imported for `--otel on` alone.
RUN python3 -m venv --without-pip /opt/pointsman \
 && python3 -m venv /tmp/pip \
 && /tmp/pip/bin/pip --python /opt/pointsman/bin/python install --no-cache-dir --constraint /src/constraints.txt '/src[signed,redis,otel]'

FROM build AS build-controller
RUN python3 -m venv --without-pip /opt/pointsman \
 && python3 -m venv /tmp/pip \
 && /tmp/pip/bin/pip --python /opt/pointsman/bin/python install --no-cache-dir --constraint /src/constraints.txt '/src[controller,postgres,prices]'

FROM python AS sidecar
LABEL org.opencontainers.image.title="Pointsman sidecar" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-sidecar /opt/pointsman /opt/pointsman
USER 65532:65532
WORKDIR /var/lib/pointsman
ENV POINTSMAN_STATE=/var/lib/pointsman
EXPOSE 4100 4101
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:4101/healthz', timeout=2)"]
ENTRYPOINT ["pointsman-sidecar"]

FROM python AS controller
RUN apt-get update \
 && apt-get install --yes --no-install-recommends git openssh-client \
 && rm -rf /var/lib/apt/lists/*
LABEL org.opencontainers.image.title="Pointsman controller" org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-controller /opt/pointsman /opt/pointsman
USER 65532:65532
WORKDIR /var/lib/pointsman
ENV POINTSMAN_STATE=/var/lib/pointsman
EXPOSE 4200
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s \
  CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:4200/healthz', timeout=2)"]
ENTRYPOINT ["pointsman"]
CMD ["serve"]
