# The image holds one static binary, a CA bundle and a user: no shell, no
# package manager, no base image to pin. Fill dist first: deploy/build.sh
FROM scratch

COPY --chown=0:0 dist/rootfs/ /
COPY --chown=65532:65532 dist/state/ /var/lib/fieldseal/

# State in three volumes: the keystore is backed up apart from the data, and
# the witness belongs on storage that the server's host cannot rewrite.
ENV FIELDSEAL_PROFILE=production \
    FIELDSEAL_DATA=/var/lib/fieldseal/data \
    FIELDSEAL_KEYSTORE=/var/lib/fieldseal/keystore \
    FIELDSEAL_WITNESS=/var/lib/fieldseal/witness/checkpoints \
    FIELDSEAL_KEK_FILE=/run/fieldseal/kek \
    FIELDSEAL_LOG_FORMAT=json
VOLUME ["/var/lib/fieldseal/data", "/var/lib/fieldseal/keystore", "/var/lib/fieldseal/witness"]

USER 65532:65532
EXPOSE 8443
STOPSIGNAL SIGTERM

# Liveness by the loopback metrics listener; readiness is /readyz of the FHIR
# listener, whose TLS name only the deployment knows.
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
    CMD ["/fieldseal", "healthcheck", "--url", "http://127.0.0.1:9464/metrics"]

ENTRYPOINT ["/fieldseal"]
CMD ["serve"]
