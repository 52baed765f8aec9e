//! disk: a file system or raw partition on a shared disk (clp-conf.md section 10).

use crate::section;
use crate::value::{Code, Count, Seconds, Text};

section! {
    /// Parameters of a disk resource.
    pub struct Disk {
        /// disk or raw (lvm and vxvm are kept in the file).
        disktype: Text, path "parameters/disktype", default "disk", range 0..=15, apply StopGroup;
        /// File system.
        fs: Text, path "parameters/fs", default "ext3", range 0..=15, apply StopGroup;
        /// Block device.
        device: Text, path "parameters/device", default "", range 0..=1023, apply StopGroup;
        /// Name of the raw device, read as the block device it stands for.
        rawdevice: Text, path "parameters/rawdevice", default "", range 0..=1023, apply StopGroup;
        /// Mount point.
        mount_point: Text, path "parameters/mount/point", default "", range 0..=1023, apply StopGroup;
        /// How long an activation waits for a device that is not there yet (a disk that starts later than the server).
        device_wait: Seconds, path "parameters/mainstay/devicewait", default "30", range 0..=9999, apply UploadOnly;
        /// Options of mount.
        mount_option: Text, path "parameters/mount/option", default "rw", range 0..=1023, apply StopGroup;
        /// Time limit of one mount.
        mount_timeout: Seconds, path "parameters/mount/timeout", default "180", range 1..=999, apply UploadOnly;
        /// Further tries to mount.
        mount_retry: Count, path "parameters/mount/retry", default "3", range 0..=999, apply UploadOnly;
        /// Check the file system when mounting fails: 1 yes.
        mount_action: Code, path "parameters/mount/action", default "1", range 0..=1, apply UploadOnly;
        /// Time limit of one unmount.
        umount_timeout: Seconds, path "parameters/umount/timeout", default "120", range 1..=999, apply UploadOnly;
        /// Further tries to unmount.
        umount_retry: Count, path "parameters/umount/retry", default "3", range 0..=999, apply UploadOnly;
        /// Wait between two of them.
        umount_interval: Seconds, path "parameters/umount/interval", default "5", range 0..=999, apply UploadOnly;
        /// kill ends the group's own processes that hold it; none leaves them.
        umount_action: Text, path "parameters/umount/action", default "kill", range 0..=15, apply UploadOnly;
        /// Options of fsck.
        fsck_option: Text, path "parameters/fsck/option", default "-y", range 0..=1023, apply UploadOnly;
        /// Time limit of fsck.
        fsck_timeout: Seconds, path "parameters/fsck/timeout", default "7200", range 1..=9999, apply UploadOnly;
        /// Check before mounting: 0 never, 1 always, 2 every so many mounts.
        fsck_timing: Code, path "parameters/fsck/timing", default "2", range 0..=2, apply UploadOnly;
        /// That many mounts.
        fsck_interval: Count, path "parameters/fsck/interval", default "10", range 0..=999, apply UploadOnly;
    }
}
