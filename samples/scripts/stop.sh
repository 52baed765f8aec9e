#! /bin/sh
# Stop script of an exec resource. Put what ends your application into stop_application, and wait there for its end: disks are
# unmounted after this script.
#
# Exit code 0 means stopped; after any other, or at the time limit, what is left of the application is killed.
#
#   CLP_EVENT       what the start script was told: START or FAILOVER; STANDBY before the group stops on another server
#                   (parameters/deact/prerunothers)
#   CLP_FACTOR      GROUPSTOP, GROUPMOVE, GROUPFAILOVER, GROUPRESTART, RESOURCERESTART, CLUSTERSHUTDOWN or SERVERSHUTDOWN
#   CLP_LASTACTION  what becomes of this server afterwards: NONE, HALT or REBOOT
#   The others are those of the start script.

stop_application() {
    :
}

case "$CLP_EVENT" in
START | FAILOVER)
    if [ "$CLP_DISK" != "SUCCESS" ]; then
        echo "ERROR_DISK from $CLP_EVENT"
        exit 1
    fi
    if [ "$CLP_EVENT" = "START" ]; then echo "NORMAL1"; else echo "FAILOVER1"; fi
    stop_application || exit 1
    case "$CLP_EVENT $CLP_SERVER" in
    "START HOME") echo "NORMAL2" ;;
    "START "*) echo "ON_OTHER1" ;;
    "FAILOVER HOME") echo "FAILOVER2" ;;
    *) echo "ON_OTHER2" ;;
    esac
    ;;
RECOVER)
    echo "RECOVER"
    ;;
STANDBY)
    echo "STANDBY"
    ;;
*)
    echo "NO_CLP"
    exit 1
    ;;
esac
echo "EXIT"
exit 0
