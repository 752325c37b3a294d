# The gateway alone: no stand-ins, no demo. scripts/replay-dockerfile follows these steps where no container engine is at hand.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# For `signpost --version`: --build-arg SIGNPOST_COMMIT=$(git rev-parse HEAD)
ARG SIGNPOST_COMMIT=
RUN cargo build --package signpost --profile dist --no-default-features --locked

FROM debian:bookworm-slim
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
# For an SQLite database; a volume belongs here, or use PostgreSQL.
RUN install -d -o 10001 -g 10001 /var/lib/signpost
COPY --from=build /src/target/dist/signpost /usr/local/bin/signpost
# Within the container every address is listened on; TLS ends at the proxy in front.
ENV SIGNPOST__SERVER__LISTEN=0.0.0.0:8080
# Probes and metrics: do not publish this port.
ENV SIGNPOST__SERVER__MANAGEMENT_LISTEN=0.0.0.0:8086
USER 10001:10001
WORKDIR /var/lib/signpost
EXPOSE 8080 8086
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
  CMD ["signpost", "health", "--config", "/etc/signpost/signpost.toml"]
ENTRYPOINT ["signpost"]
CMD ["serve", "--config", "/etc/signpost/signpost.toml"]
