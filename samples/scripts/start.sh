#! /bin/sh
# Start script of an exec resource. Put what starts your application into start_application; the rest may stay as it is.
#
# Exit code 0 means started; any other fails the activation, and the group goes on to the next server.
# What is left running belongs to the resource: it is ended when the resource is stopped.
#
#   CLP_EVENT      START     at the start of the cluster, by an operator, or started anew here
#                  FAILOVER  after a failure
#                  STANDBY   the group has started on another server (parameters/act/postrunothers)
#   CLP_DISK       SUCCESS or FAILURE: are the disks of the group usable?
#   CLP_SERVER     HOME on the first server of the failover policy, else OTHER
#   More: CLP_GROUPNAME, CLP_RESOURCENAME, CLP_PRIORITY, CLP_PATH, CLP_OSNAME, CLP_OSVER, CLP_VERSION_FULL, CLP_VERSION_MAJOR

start_application() {
    :
}

case "$CLP_EVENT" in
START | FAILOVER)
    if [ "$CLP_DISK" != "SUCCESS" ]; then
        echo "ERROR_DISK from $CLP_EVENT"
        exit 1
    fi
    if [ "$CLP_EVENT" = "START" ]; then echo "NORMAL1"; else echo "FAILOVER1"; fi
    start_application || exit 1
    case "$CLP_EVENT $CLP_SERVER" in
    "START HOME") echo "NORMAL2" ;;
    "START "*) echo "ON_OTHER1" ;;
    "FAILOVER HOME") echo "FAILOVER2" ;;
    *) echo "ON_OTHER2" ;;
    esac
    ;;
RECOVER)
    # Only scripts that were written for other systems are told this; there is nothing to do.
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
