# syntax=docker/dockerfile:1
# docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD) -t gridcross .
# docker run --volume gridcross:/var/lib/gridcross gridcross init /var/lib/gridcross
# In its gridcross.toml: listen = "0.0.0.0:7400", and [operations] for the health check.
# docker run --volume gridcross:/var/lib/gridcross --publish 7400:7400/udp gridcross

FROM rust:1.95.0-slim-trixie AS build
ARG COMMIT=unknown
ENV GRIDCROSS_COMMIT=$COMMIT
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin gridcross

FROM debian:trixie-slim
RUN useradd --system --uid 7400 --home-dir /var/lib/gridcross --shell /usr/sbin/nologin gridcross \
    && install --directory --owner gridcross --group gridcross --mode 0700 /var/lib/gridcross
COPY --from=build /source/target/release/gridcross /usr/bin/gridcross
COPY --from=build /source/LICENSE /usr/share/doc/gridcross/LICENSE
USER gridcross
WORKDIR /var/lib/gridcross
VOLUME /var/lib/gridcross
# Orders over QUIC, and over HTTPS; the HTTP API. What listens, and where, is in gridcross.toml.
EXPOSE 7400/udp 7443/tcp 7480/tcp
# Needs `[operations]` in gridcross.toml.
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD ["gridcross", "status", "--data-dir", "/var/lib/gridcross"]
ENTRYPOINT ["gridcross"]
CMD ["serve", "--data-dir", "/var/lib/gridcross", "--log-format", "json"]
