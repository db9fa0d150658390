# The server as a small image: the running install with the extra `server`, and the built-in model.
#   docker build -t earthclip .
#   docker run --rm -p 127.0.0.1:8000:8000 -e EARTHCLIP_API_KEY=... earthclip
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY src ./src
# One folder with everything in it, pinned, which the next stage takes as it is.
RUN python -m venv /opt/earthclip \
    && /opt/earthclip/bin/pip install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt ".[server]"

FROM python:3.12-slim
LABEL org.opencontainers.image.title="EarthCLIP" \
    org.opencontainers.image.description="Where on Earth is this? Pictures and coordinates in one embedding space." \
    org.opencontainers.image.licenses="MIT"
# No account but this one, without a shell or a password; the cache is all it may write.
RUN useradd --system --uid 10001 --home-dir /var/lib/earthclip --create-home --shell /usr/sbin/nologin earthclip
COPY --from=build /opt/earthclip /opt/earthclip
ENV PATH=/opt/earthclip/bin:$PATH \
    EARTHCLIP_HOME=/var/lib/earthclip \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /var/lib/earthclip
# The gallery is encoded now, so that a container is ready in about a second and may run with --read-only.
RUN python -c "import earthclip; earthclip.load('orbit').warm_up()"
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# The form without a shell, so that SIGTERM reaches the server, which then finishes what is under way.
ENTRYPOINT ["earthclip", "serve", "--host", "0.0.0.0"]
CMD ["--model", "orbit", "--port", "8000"]
