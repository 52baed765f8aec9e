//! disk: a partition of a shared disk, with a file system or raw. Writable only on its owner, never mounted or used twice.
//!
//! Inactive means that nothing of here can reach it: an unmount that hangs, or leaves a copy of the mount in another namespace, is none.

mod detach;

use super::{Context, Note, Outcome, ResourceDriver, ResourceError, Status, Told, code};
use clp_config::schema::resources::disk::Disk;
use clp_sys::direct_io::{Access, DirectFile};
use clp_sys::process::{self, Program};
use clp_sys::{block, mount};
use detach::{Cut, settled};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Exit codes of fsck up to this one mean that the file system is good now (fsck(8)).
const FSCK_CORRECTED: i32 = 1;
/// Between two looks whether a late device has come.
const DEVICE_LOOK: Duration = Duration::from_millis(200);
/// How long a disk may take for its first block before its file system is checked: path switches and rebuilds included.
const READ_LIMIT: Duration = Duration::from_secs(60);
/// How long the kernel may take to let go of a device that was unmounted: other programs look at a device for a moment.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// A partition of a shared disk.
pub struct DiskDriver {
    parameters: Disk,
}

impl DiskDriver {
    /// With its parameters.
    pub fn new(parameters: Disk) -> Self {
        DiskDriver { parameters }
    }

    /// The block device; a raw device is a name for it.
    fn device(&self) -> PathBuf {
        let named = if self.parameters.device.is_empty() { &self.parameters.rawdevice } else { &self.parameters.device };
        PathBuf::from(named)
    }

    fn is_raw(&self) -> bool {
        self.parameters.disktype == "raw"
    }

    fn point(&self) -> PathBuf {
        PathBuf::from(&self.parameters.mount_point)
    }

    fn set_read_only(&self, read_only: bool) -> Result<(), ResourceError> {
        let device = self.device();
        block::set_read_only(&device, read_only).map_err(|cause| {
            let word = if read_only { "read-only" } else { "writable" };
            ResourceError::new(
                format!("{} cannot be made {word}: {cause}", device.display()),
                "check the device and its path to the disk",
            )
            .coded(cause.raw_os_error().unwrap_or(1))
        })
    }

    /// A disk may start later than its servers: wait for the device, at most as long as configured.
    fn wait_for_device(&self) -> Result<(), ResourceError> {
        let device = self.device();
        let wait = self.parameters.device_wait;
        let until = Instant::now() + wait;
        while !block::is_ready(&device) {
            if Instant::now() >= until {
                let why = if block::is_block_device(&device) { "is not ready" } else { "is not a block device" };
                return Err(ResourceError::new(
                    format!("{} {why} after {} s", device.display(), wait.as_secs()),
                    "check parameters/device and the path to the disk",
                )
                .coded(rustix::io::Errno::NODEV.raw_os_error()));
            }
            std::thread::sleep(DEVICE_LOOK.min(until.saturating_duration_since(Instant::now())));
        }
        Ok(())
    }

    /// Has the kernel let go of the device? Its mount can be gone from here while a copy lives in another mount namespace, or while the
    /// unmount still waits for the disk.
    fn wait_released(&self) -> Result<(), String> {
        let device = self.device();
        let until = Instant::now() + RELEASE_LIMIT;
        loop {
            let claimed = match block::is_claimed(&device) {
                Ok(false) => return Ok(()),
                Ok(true) => "the kernel has not let go of it: an unmount has not ended, or another program claims it".to_string(),
                Err(cause) => cause.to_string(),
            };
            if Instant::now() >= until {
                let copies: Vec<String> = mount::elsewhere(&device).into_iter().map(|(holder, _)| holder.to_string()).collect();
                return Err(if copies.is_empty() {
                    claimed
                } else {
                    format!("it is still mounted in another mount namespace, of {}", copies.join(", "))
                });
            }
            std::thread::sleep(DEVICE_LOOK);
        }
    }

    fn run(&self, argv: &[&str], limit: Duration) -> process::Outcome {
        process::run(&Program {
            argv: argv.iter().map(ToString::to_string).collect(),
            env: vec![("PATH".into(), "/usr/sbin:/usr/bin:/sbin:/bin".into()), ("LANG".into(), "C".into())],
            limit,
            ..Program::default()
        })
    }

    /// Is it mounted by us, in the right place and writable?
    fn is_mounted(&self) -> bool {
        let number = mount::device_number(&self.device());
        mount::at_point(&self.point()).is_some_and(|mounted| number.as_ref() == Some(&mounted.device) && mounted.is_writable())
    }

    fn check(&self, context: &Context) -> Result<(), ResourceError> {
        let parameters = &self.parameters;
        if parameters.fs == "xfs" {
            // fsck.xfs does nothing by design; mounting replays the log.
            return Ok(());
        }
        let device = self.device().to_string_lossy().into_owned();
        // Its words about a disk that does not answer lead astray ("try another superblock"), and a repair would do harm.
        block::read_first(&self.device(), READ_LIMIT).map_err(|cause| {
            ResourceError::new(format!("{device} cannot be read: {cause}"), "check the disk, its cable and its path (dmesg)")
                .coded(cause.code())
        })?;
        let program = format!("fsck.{}", parameters.fs);
        let argv: Vec<&str> =
            std::iter::once(program.as_str()).chain(parameters.fsck_option.split_whitespace()).chain([device.as_str()]).collect();
        context.notes.tell(Note::CheckBegins { program: program.clone(), device: device.clone() });
        let outcome = self.run(&argv, parameters.fsck_timeout);
        let code = code::of(&outcome);
        let is_good = matches!(outcome, process::Outcome::Exited { code, .. } if code <= FSCK_CORRECTED);
        let error = ResourceError::new(
            format!("file system check of {device}: {}", outcome.words()),
            format!("check it by hand: {program} {device}"),
        );
        context.notes.tell(match outcome {
            _ if is_good => Note::CheckDone { program, device },
            process::Outcome::TimedOut { .. } => Note::CheckSlow { program, device, limit: parameters.fsck_timeout },
            _ => Note::CheckFailed { program, device, code },
        });
        if is_good { Ok(()) } else { Err(error.coded(code)) }
    }

    fn mount_once(&self) -> Result<(), ResourceError> {
        let parameters = &self.parameters;
        let (device, point) = (self.device(), self.point());
        let (device_text, point_text) = (device.to_string_lossy().into_owned(), point.to_string_lossy().into_owned());
        let argv = ["mount", "-t", &parameters.fs, "-o", &parameters.mount_option, &device_text, &point_text];
        let outcome = self.run(&argv, parameters.mount_timeout);
        if !outcome.is_success() {
            return Err(ResourceError::new(
                format!("{device_text} cannot be mounted on {point_text}: {}", outcome.words()),
                "check file system type, mount options and the disk",
            )
            .coded(code::of(&outcome)));
        }
        // A write-protected device is mounted read-only with success: the result counts, not the exit code.
        let wants_write = !parameters.mount_option.split(',').any(|option| option == "ro");
        if wants_write && !self.is_mounted() {
            let _ = self.run(&["umount", &point_text], parameters.umount_timeout);
            return Err(ResourceError::new(
                format!("{device_text} was mounted read-only"),
                "check the write protection of the disk",
            )
            .coded(rustix::io::Errno::ROFS.raw_os_error()));
        }
        Ok(())
    }

    fn mount(&self, context: &Context) -> Result<(), ResourceError> {
        let parameters = &self.parameters;
        let count = context.root.work().join("mounts").join(&context.resource);
        let mounts: u64 = std::fs::read_to_string(&count).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let is_due = match parameters.fsck_timing {
            1 => true,
            2 => parameters.fsck_interval > 0 && mounts + 1 >= u64::from(parameters.fsck_interval),
            _ => false,
        };
        if is_due {
            self.check(context)?;
        }
        // Kept for later, not needed now: a count that is lost makes the next check later, never wrong.
        let _ = count.parent().map(std::fs::create_dir_all);
        let _ = std::fs::write(&count, if is_due { 0 } else { mounts + 1 }.to_string());
        let mut tries = 0;
        let mut checked = is_due || parameters.mount_action == 0;
        loop {
            match self.mount_once() {
                Ok(()) => return Ok(()),
                Err(error) if tries >= parameters.mount_retry => return Err(error),
                Err(_) => {
                    tries += 1;
                    if !checked {
                        checked = true;
                        self.check(context)?;
                    }
                }
            }
        }
    }

    fn unmount(&self, context: &Context) -> Result<(), ResourceError> {
        let parameters = &self.parameters;
        let point = self.point();
        let point_text = point.to_string_lossy().into_owned();
        let mut tries = 0;
        loop {
            let outcome = self.run(&["umount", &point_text], parameters.umount_timeout);
            let failed = |what: String, remedy: &str| {
                let code = if outcome.is_success() { rustix::io::Errno::BUSY.raw_os_error() } else { code::of(&outcome) };
                ResourceError::new(what, remedy).coded(code)
            };
            if mount::of_device(&self.device()).is_empty() {
                return self.wait_released().map_err(|why| {
                    let words = if outcome.is_success() { String::new() } else { format!(", {}", outcome.words()) };
                    failed(
                        format!("{} was unmounted, but {why}{words}", self.device().display()),
                        "end what holds it, or repair its path",
                    )
                });
            }
            if parameters.umount_action == "kill" {
                self.kill_own_holders(context);
            }
            if tries >= parameters.umount_retry {
                let holders: Vec<String> = mount::holders(&point).iter().map(ToString::to_string).collect();
                let holders = if holders.is_empty() { "nobody that can be seen".to_string() } else { holders.join(", ") };
                return Err(failed(
                    format!("{point_text} cannot be unmounted: {}; held by {holders}", outcome.words()),
                    "end these processes; only the group's own are killed",
                ));
            }
            tries += 1;
            std::thread::sleep(if tries == 1 { Duration::from_millis(100) } else { parameters.umount_interval });
        }
    }

    fn mounted_by_hand(&self, point: &str) -> ResourceError {
        ResourceError::new(
            format!("{} is already mounted on {point}", self.device().display()),
            format!("it was mounted by hand: umount {point}"),
        )
        .coded(rustix::io::Errno::BUSY.raw_os_error())
    }

    /// A raw device belongs to one application: whoever else writes to it, or claims it for itself alone, would destroy its data. One
    /// who only reads it (a monitor, what looks for labels) does not.
    fn refuse_used(&self) -> Result<(), ResourceError> {
        let device = self.device();
        let writers: Vec<String> = block::writers(&device).iter().map(ToString::to_string).collect();
        let used = match writers.is_empty() {
            true => self.wait_released().err(),
            false => Some(format!("it is open for writing by {}", writers.join(", "))),
        };
        used.map_or(Ok(()), |how| {
            Err(ResourceError::new(
                format!("{} is already in use: {how}", device.display()),
                "end what uses it, or give each its own device",
            )
            .coded(rustix::io::Errno::BUSY.raw_os_error()))
        })
    }

    /// Only what belongs to this group's own control groups is ever killed.
    fn kill_own_holders(&self, context: &Context) {
        let holders = mount::holders(&self.point());
        for holder in holders {
            let text = std::fs::read_to_string(format!("/proc/{}/cgroup", holder.pid)).unwrap_or_default();
            let inside = text.lines().any(|line| line.contains(&format!("/mainstay/{}/", context.group)));
            if let (true, Some(pid)) = (inside, i32::try_from(holder.pid).ok().and_then(rustix::process::Pid::from_raw)) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

impl ResourceDriver for DiskDriver {
    fn activate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        self.wait_for_device()?;
        let device = self.device();
        if self.is_raw() {
            if let Some(mounted) = mount::of_device(&device).first() {
                return Err(self.mounted_by_hand(&mounted.point));
            }
            // Once it is active here its own application uses it.
            if !context.is_marked() {
                self.refuse_used()?;
            }
            let before = block::is_read_only(&device).unwrap_or(true);
            DirectFile::open(&device, Access::Read).map_err(|cause| {
                ResourceError::new(
                    format!("{} cannot be opened: {cause}", device.display()),
                    "check the device and its path to the disk",
                )
            })?;
            context.mark(Told::now(context))?;
            self.set_read_only(false)?;
            return Ok(if before { Outcome::Changed } else { Outcome::AlreadyDone });
        }
        let point = self.point();
        if self.is_mounted() && context.is_marked() {
            return Ok(Outcome::AlreadyDone);
        }
        if let Some(mounted) = mount::of_device(&device).first() {
            return Err(self.mounted_by_hand(&mounted.point));
        }
        std::fs::create_dir_all(&point).map_err(|cause| {
            ResourceError::new(
                format!("mount point {} cannot be made: {cause}", point.display()),
                "make the directory on every server",
            )
        })?;
        if let Some(mounted) = mount::at_point(&point) {
            return Err(ResourceError::new(
                format!("{} is already mounted on {}", mounted.source, point.display()),
                format!("it was mounted by hand: umount {}", point.display()),
            )
            .coded(rustix::io::Errno::BUSY.raw_os_error()));
        }
        self.set_read_only(false)?;
        context.mark(Told::now(context))?;
        if let Err(error) = self.mount(context) {
            let undone = self.set_read_only(true);
            context.unmark();
            let more = undone.err().map_or(String::new(), |undo| format!("; undoing it failed too: {undo}"));
            return Err(ResourceError::new(format!("{}{more}", error.what), error.remedy).coded(error.code));
        }
        Ok(Outcome::Changed)
    }

    fn deactivate(&self, context: &Context) -> Result<Outcome, ResourceError> {
        if !block::is_block_device(&self.device()) {
            return self.cut(context, Cut::AtOnce);
        }
        let mounted = !self.is_raw() && !mount::of_device(&self.device()).is_empty();
        if mounted && !context.is_marked() {
            // An administrator's: not ours to unmount, and nobody may take the disk elsewhere meanwhile.
            let point = mount::of_device(&self.device()).first().map(|place| place.point.clone()).unwrap_or_default();
            return Err(self.mounted_by_hand(&point));
        }
        if mounted {
            self.unmount(context)?;
        } else if !self.is_raw() && context.is_marked() {
            // Its mount has gone without us, or with an unmount that did not end in time.
            self.wait_released().map_err(|why| {
                ResourceError::new(format!("{}: {why}", self.device().display()), "end what holds it, or repair its path")
                    .coded(rustix::io::Errno::BUSY.raw_os_error())
            })?;
        }
        self.set_read_only(true)?;
        if self.is_raw() && context.is_marked() {
            // What its application wrote by way of the cache would follow whenever the kernel likes.
            settled(&self.device()).map_err(|(what, code)| {
                ResourceError::new(what, "repair the path to the disk and stop the group again").coded(code)
            })?;
        }
        context.unmark();
        Ok(if mounted { Outcome::Changed } else { Outcome::AlreadyDone })
    }

    fn status(&self, context: &Context) -> Status {
        let device = self.device();
        if !block::is_block_device(&device) {
            return Status::Offline;
        }
        if !self.is_raw() {
            let mounted = mount::of_device(&device);
            return match mounted.first() {
                None => Status::Offline,
                Some(_) if context.is_marked() => Status::Online,
                Some(mounted) => Status::Occupied(self.mounted_by_hand(&mounted.point).to_string()),
            };
        }
        match block::is_read_only(&device) {
            Ok(true) => Status::Offline,
            Ok(false) => Status::Online,
            Err(cause) => Status::Unknown(format!("{}: {cause}", device.display())),
        }
    }

    fn detach(&self, context: &Context) -> Result<Outcome, ResourceError> {
        self.cut(context, Cut::Keep(self.parameters.umount_timeout))
    }

    fn emergency(&self, context: &Context) -> Result<Outcome, ResourceError> {
        // What an administrator wrote into a mount of his own is not lost, unless there is no time.
        let patient = !context.is_marked() && context.deadline.is_zero();
        self.cut(context, if patient { Cut::Keep(self.parameters.umount_timeout) } else { Cut::AtOnce })
    }

    fn is_there(&self) -> bool {
        block::is_block_device(&self.device())
    }

    /// Read-only for this server until the group is started here; a file system that is mounted by hand is left alone.
    fn fence_at_start(&self, context: &Context) -> Result<(), ResourceError> {
        if !self.is_there() || context.is_marked() || matches!(self.status(context), Status::Occupied(_)) {
            return Ok(());
        }
        self.set_read_only(true)
    }
}
