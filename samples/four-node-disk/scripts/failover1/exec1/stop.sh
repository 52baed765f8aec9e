#! /bin/sh
# Stop script of an exec resource. What the start script began is ended here and waited for.

stop_application() {
    pkill -TERM -f "counter serve --listen 10.0.0.12:8080"
    while pgrep -f "counter serve --listen 10.0.0.12:8080" >/dev/null; do sleep 0.05; done
}

case "$CLP_EVENT" in
START | FAILOVER)
    echo "STOP because of ${CLP_FACTOR:-unknown}"
    stop_application
    ;;
*)
    echo "NO_CLP"
    exit 1
    ;;
esac
echo "EXIT"
exit 0
