#! /bin/sh
# Start script of an exec resource: the branches tell why and where the group starts.
# This sample runs a small counter behind the floating address, with its data on the shared disk.

start_application() {
    if [ -x "$CLP_PATH/bin/counter" ]; then
        setsid "$CLP_PATH/bin/counter" serve --listen 10.0.0.12:8080 --data /mnt/sdb2/counter.db >/dev/null 2>&1 </dev/null &
    fi
}

case "$CLP_EVENT" in
START)
    if [ "$CLP_DISK" != "SUCCESS" ]; then
        echo "ERROR_DISK from START"
        exit 1
    fi
    echo "NORMAL1"
    start_application
    if [ "$CLP_SERVER" = "HOME" ]; then echo "NORMAL2"; else echo "ON_OTHER1"; fi
    ;;
FAILOVER)
    if [ "$CLP_DISK" != "SUCCESS" ]; then
        echo "ERROR_DISK from FAILOVER"
        exit 1
    fi
    echo "FAILOVER1"
    start_application
    if [ "$CLP_SERVER" = "HOME" ]; then echo "FAILOVER2"; else echo "ON_OTHER2"; fi
    ;;
*)
    echo "NO_CLP"
    exit 1
    ;;
esac
echo "EXIT"
exit 0
