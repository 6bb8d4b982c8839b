# The static worker, and a Debian image with it. Another image takes the file alone:
#   COPY --from=sandbox-worker /usr/local/bin/sandbox-worker /usr/local/bin/
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# The packages first: they change less often than the sources.
COPY packages.txt Makefile ./
COPY tests/support/install-packages tests/support/
RUN make deps
COPY . .
RUN make release

FROM debian:12-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /workspace
COPY --from=build /src/build/release/worker/sandbox-worker /usr/local/bin/
RUN ln -s sandbox-worker /usr/local/bin/ant
ENTRYPOINT ["sandbox-worker"]
