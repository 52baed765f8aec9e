//! Drivers against the real kernel: a loop device with a file system, two network namespaces, real scripts. Each test runs in
//! namespaces of its own (the test program starts itself again inside them) and is skipped with a printed reason without root.

use super::*;
use crate::heartbeats::tests_support::until;
use clp_config::document::Document;
use clp_config::schema::resources::{disk::Disk, exec::Exec};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

mod addresses;
mod ladder;
mod templates;

/// Set inside the namespaces.
const INSIDE: &str = "CLP_TEST_INSIDE";

/// Runs the body of the calling test in its own network and mount namespace.
fn isolated(name: &str, body: impl FnOnce()) {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: {name} needs root");
    } else if std::env::var_os(INSIDE).is_some() {
        body();
    } else {
        let me = std::env::current_exe().expect("own path");
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--propagation", "private"])
            .arg(me)
            .args(["--exact", &format!("resources::tests::{name}"), "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .expect("unshare");
        assert!(status.success(), "{name} failed inside its namespaces");
    }
}

fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().expect("sh");
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

fn section<T>(read: impl FnOnce(&clp_config::document::Element, &mut Vec<clp_config::Problem>) -> T, xml: &str) -> T {
    let document = Document::read(format!("<?xml version=\"1.0\"?><root>{xml}</root>").as_bytes()).expect("xml");
    let mut problems = Vec::new();
    let section = read(document.root(), &mut problems);
    assert!(problems.is_empty(), "{problems:?}");
    section
}

fn context(root: &Path, resource: &str) -> Context {
    Context {
        group: format!("test-{}", std::process::id()),
        resource: resource.into(),
        server: "server1".into(),
        root: Root::at(root),
        disk_ok: Some(true),
        home: true,
        priority: 1,
        ..Context::default()
    }
}

/// A loop device that is writable again and gone afterwards: its read-only flag would survive the detach.
struct Loop(PathBuf);

impl Loop {
    fn with(image: &Path) -> Loop {
        let image = image.display();
        let device = Loop(sh(&format!("truncate -s 32M {image} && losetup -f --show {image}")).into());
        clp_sys::block::set_read_only(&device.0, false).expect("writable");
        sh(&format!("mkfs.ext4 -q -F {}", device.0.display()));
        device
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        for mounted in clp_sys::mount::of_device(&self.0) {
            let _ = clp_sys::mount::detach(Path::new(&mounted.point), std::time::Duration::from_secs(5));
        }
        let _ = clp_sys::block::set_read_only(&self.0, false);
        let _ = Command::new("losetup").arg("-d").arg(&self.0).status();
    }
}

fn disk(device: &Path, point: &Path, more: &str) -> disk::DiskDriver {
    let xml = format!(
        "<parameters><fs>ext4</fs><device>{}</device><mount><point>{}</point></mount>\
         <umount><retry>1</retry><interval>0</interval></umount>{more}</parameters>",
        device.display(),
        point.display()
    );
    disk::DiskDriver::new(section(|element, problems| Disk::read(element, "disk1", &[], problems), &xml))
}

// S-RSC-DISK
#[test]
fn a_disk_is_mounted_on_activation_and_unmounted_on_deactivation() {
    isolated("a_disk_is_mounted_on_activation_and_unmounted_on_deactivation", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let (driver, context) = (disk(&device.0, &point, ""), context(place.path(), "disk1"));
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
        assert_eq!(driver.status(&context), Status::Online);
        std::fs::write(point.join("kept"), "text").expect("a mounted disk can be written");
        assert_eq!(driver.deactivate(&context), Ok(Outcome::Changed));
        assert_eq!(driver.deactivate(&context), Ok(Outcome::AlreadyDone));
        assert_eq!(driver.status(&context), Status::Offline);
        assert!(!point.join("kept").exists());
    });
}

// S-RSC-DISK-RO
#[test]
fn a_disk_is_read_only_at_block_level_except_while_it_is_active() {
    isolated("a_disk_is_read_only_at_block_level_except_while_it_is_active", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let (driver, context) = (disk(&device.0, &place.path().join("point"), ""), context(place.path(), "disk1"));
        let write = || {
            let file = std::fs::OpenOptions::new().write(true).open(&device.0).expect("open");
            std::os::unix::fs::FileExt::write_at(&file, &[0], 0)
        };
        driver.fence_at_start(&context).expect("fence");
        assert!(write().is_err());
        driver.activate(&context).expect("active");
        assert!(!clp_sys::block::is_read_only(&device.0).expect("flag"));
        driver.deactivate(&context).expect("inactive");
        assert!(write().is_err());
    });
}

// S-RSC-DISK-BUSY
#[test]
fn a_disk_that_is_mounted_by_hand_is_neither_mounted_twice_nor_unmounted() {
    isolated("a_disk_that_is_mounted_by_hand_is_neither_mounted_twice_nor_unmounted", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let (driver, context) = (disk(&device.0, &point, ""), context(place.path(), "disk1"));
        // Also where the resource itself would mount it.
        sh(&format!("mkdir {0} && mount {1} {0}", point.display(), device.0.display()));
        let error = driver.activate(&context).expect_err("refused");
        assert!(error.to_string().contains(&format!("mounted by hand: umount {}", point.display())), "{error}");
        assert!(driver.deactivate(&context).is_err(), "nobody may take it while it is mounted here");
        assert_eq!(clp_sys::mount::of_device(&device.0).len(), 1);
        // The last rung of a stop cuts it off, and what was written before is kept.
        std::fs::write(point.join("by-hand"), "text").expect("still writable");
        assert_eq!(driver.emergency(&context), Ok(Outcome::Changed));
        driver.activate(&context).expect("active");
        assert_eq!(std::fs::read_to_string(point.join("by-hand")).expect("kept"), "text");
    });
}

// S-RSC-DISK-FS
#[test]
fn a_wrong_file_system_type_is_a_clear_error_and_leaves_the_disk_read_only() {
    isolated("a_wrong_file_system_type_is_a_clear_error_and_leaves_the_disk_read_only", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let xml = format!(
            "<parameters><fs>xfs</fs><device>{}</device><mount><point>{}</point></mount></parameters>",
            device.0.display(),
            point.display()
        );
        let driver = disk::DiskDriver::new(section(|element, problems| Disk::read(element, "disk1", &[], problems), &xml));
        let context = context(place.path(), "disk1");
        let error = driver.activate(&context).expect_err("refused").to_string();
        assert!(error.contains("check file system type") && error.contains(&device.0.display().to_string()), "{error}");
        assert!(clp_sys::block::is_read_only(&device.0).expect("flag"));
        assert_eq!(driver.status(&context), Status::Offline);
    });
}

#[test]
fn a_foreign_holder_is_named_and_left_alive_and_an_emergency_ends_its_writes() {
    isolated("a_foreign_holder_is_named_and_left_alive_and_an_emergency_ends_its_writes", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let (driver, context) = (disk(&device.0, &point, ""), context(place.path(), "disk1"));
        driver.activate(&context).expect("active");
        let mut holder = Command::new("sleep").arg("60").current_dir(&point).spawn().expect("holder");
        let mut open = std::fs::File::create(point.join("data")).expect("file");
        let error = driver.deactivate(&context).expect_err("held").to_string();
        assert!(error.contains(&format!("sleep (pid {})", holder.id())), "{error}");
        assert!(holder.try_wait().expect("state").is_none(), "a foreign process was killed");
        assert_eq!(driver.emergency(&context), Ok(Outcome::Changed));
        let written = std::io::Write::write_all(&mut open, &[1; 4096]).and_then(|()| open.sync_all());
        assert!(written.is_err(), "a descriptor from before still writes");
        assert_eq!(driver.status(&context), Status::Offline);
        holder.kill().and_then(|()| holder.wait()).expect("holder ended");
    });
}

// S-RSC-DISK-FSCK
#[test]
fn a_damaged_file_system_is_repaired_or_the_activation_fails_with_a_text() {
    isolated("a_damaged_file_system_is_repaired_or_the_activation_fails_with_a_text", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let (driver, context) = (disk(&device.0, &place.path().join("point"), ""), context(place.path(), "disk1"));
        let wipe = |blocks: u32| {
            clp_sys::block::set_read_only(&device.0, false).expect("writable");
            sh(&format!("dd if=/dev/zero of={} bs=1024 seek=1 count={blocks} oflag=direct 2>/dev/null", device.0.display()));
        };
        // The first superblock is lost; its copies are not.
        wipe(1);
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        driver.deactivate(&context).expect("inactive");
        wipe(32 * 1024 - 1);
        let error = driver.activate(&context).expect_err("nothing is left to repair").to_string();
        assert!(error.contains("file system check of") && error.contains("check it by hand: fsck.ext4"), "{error}");
        assert!(clp_sys::block::is_read_only(&device.0).expect("flag"));
    });
}

#[test]
fn a_disk_that_cannot_be_read_is_named_and_its_file_system_is_not_repaired() {
    isolated("a_disk_that_cannot_be_read_is_named_and_its_file_system_is_not_repaired", || {
        let place = tempfile::tempdir().expect("place");
        let image = place.path().join("image");
        let device = Loop::with(&image);
        // Only a loop device that reads past the cache of its file says that there is nothing to read.
        sh(&format!("losetup --direct-io=on {} && truncate -s 0 {}", device.0.display(), image.display()));
        let (driver, context) = (disk(&device.0, &place.path().join("point"), ""), context(place.path(), "disk1"));
        let error = driver.activate(&context).expect_err("no data");
        let words = format!("{} cannot be read: Input/output error", device.0.display());
        assert!(error.what.contains(&words) && error.remedy.contains("check the disk, its cable"), "{error}");
        assert_eq!(error.code, rustix::io::Errno::IO.raw_os_error());
        assert_eq!(std::fs::metadata(&image).expect("image").len(), 0, "something was written to it");
    });
}

#[test]
fn a_raw_partition_is_writable_only_while_it_is_active_and_refused_while_it_is_mounted() {
    isolated("a_raw_partition_is_writable_only_while_it_is_active_and_refused_while_it_is_mounted", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        // The raw device is only a name; the block device counts.
        let xml = format!(
            "<parameters><disktype>raw</disktype><device>{}</device><rawdevice>/dev/raw/raw1</rawdevice></parameters>",
            device.0.display()
        );
        let driver = disk::DiskDriver::new(section(|element, problems| Disk::read(element, "raw1", &[], problems), &xml));
        let context = context(place.path(), "raw1");
        driver.deactivate(&context).expect("inactive");
        assert_eq!(driver.status(&context), Status::Offline);
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
        assert_eq!(driver.status(&context), Status::Online);
        driver.emergency(&context).expect("inactive");
        assert!(clp_sys::block::is_read_only(&device.0).expect("flag"));
        sh(&format!(
            "blockdev --setrw {0} && mkdir {1} && mount {0} {1}",
            device.0.display(),
            place.path().join("hand").display()
        ));
        assert!(driver.activate(&context).expect_err("mounted").to_string().contains("mounted by hand"));
    });
}

/// A process that lives until the value is dropped.
struct Alive(Child);

impl Alive {
    fn start(program: &str, arguments: &[&str]) -> Alive {
        Alive(Command::new(program).args(arguments).spawn().expect(program))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// S-TST-RAWUSED
#[test]
fn a_raw_partition_that_somebody_writes_to_or_claims_is_refused_and_readers_do_not_count() {
    isolated("a_raw_partition_that_somebody_writes_to_or_claims_is_refused_and_readers_do_not_count", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let name = device.0.to_str().expect("name");
        let xml = format!("<parameters><disktype>raw</disktype><device>{name}</device></parameters>");
        let driver = disk::DiskDriver::new(section(|element, problems| Disk::read(element, "raw1", &[], problems), &xml));
        let context = context(place.path(), "raw1");
        driver.deactivate(&context).expect("inactive");
        let holder = |redirection: &str| Alive::start("sh", &["-c", &format!("exec 3{redirection}{name}; exec sleep 60")]);
        let is_asleep = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|text| text.trim() == "sleep");
        let is_open =
            |pid: u32| is_asleep(pid) && std::fs::read_link(format!("/proc/{pid}/fd/3")).is_ok_and(|target| target == device.0);
        let refused = |words: &str| {
            let error = driver.activate(&context).expect_err("in use");
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.code, rustix::io::Errno::BUSY.raw_os_error());
            assert!(clp_sys::block::is_read_only(&device.0).expect("flag"), "writable for the other one");
            assert_eq!(driver.status(&context), Status::Offline);
        };
        for redirection in ["<>", ">"] {
            let writer = holder(redirection);
            until("it has the device", || is_open(writer.0.id()));
            refused(&format!("{name} is already in use: it is open for writing by sleep (pid {})", writer.0.id()));
        }
        let reader = holder("<");
        until("it has the device", || is_open(reader.0.id()));
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        // From here on the writer is its own application.
        let writer = holder("<>");
        until("it has the device", || is_open(writer.0.id()));
        assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
        drop((reader, writer));
        driver.deactivate(&context).expect("inactive");
        // Mounted where this process does not see it.
        let point = place.path().join("hand");
        let mount = format!("mkdir {0} && mount -o ro {name} {0} && exec sleep 60", point.display());
        let container = Alive::start("unshare", &["--mount", "--propagation", "private", "sh", "-c", &mount]);
        until("it is mounted there", || !clp_sys::mount::elsewhere(&device.0).is_empty() && is_asleep(container.0.id()));
        refused("is already in use: it is still mounted in another mount namespace, of sleep");
        drop(container);
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
    });
}

fn exec(xml: &str) -> exec::ExecDriver {
    let xml = format!("<parameters>{xml}</parameters>");
    exec::ExecDriver::new(section(|element, problems| Exec::read(element, "exec1", &[], problems), &xml))
}

fn script(context: &Context, name: &str, text: &str) {
    let directory = context.root.scripts().join(&context.group).join(&context.resource);
    std::fs::create_dir_all(&directory).expect("directory");
    std::fs::write(directory.join(name), text).expect("script");
    std::fs::set_permissions(directory.join(name), std::fs::Permissions::from_mode(0o755)).expect("mode");
}

fn lives(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| !text.contains(") Z "))
}

// S-RSC-EXEC
#[test]
fn scripts_are_run_with_their_environment_and_the_exit_code_decides() {
    isolated("scripts_are_run_with_their_environment_and_the_exit_code_decides", || {
        let place = tempfile::tempdir().expect("place");
        let mut context = context(place.path(), "exec1");
        let log = place.path().join("user.log");
        let driver = exec(&format!("<userlog>{}</userlog>", log.display()));
        let report = "echo $CLP_EVENT $CLP_DISK $CLP_SERVER $CLP_RESOURCENAME $(pwd) $(umask) [$CLP_FACTOR] $CARGO_PKG_NAME\n";
        script(&context, "start.sh", &format!("#! /bin/sh\n{report}"));
        script(&context, "stop.sh", &format!("#!/bin/sh\n{report}"));
        context.after_failure = true;
        context.owner_known = true;
        assert_eq!(driver.activate(&context), Ok(Outcome::Changed));
        assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
        assert_eq!(driver.status(&context), Status::Online);
        context.cause = Some(Cause::GroupMove);
        assert_eq!(driver.deactivate(&context), Ok(Outcome::Changed));
        assert_eq!(driver.status(&context), Status::Offline);
        let told = std::fs::read_to_string(&log).expect("log");
        let expected = "FAILOVER SUCCESS HOME exec1 / 0022 []\nFAILOVER SUCCESS HOME exec1 / 0022 [GROUPMOVE]\n";
        assert_eq!(told.replace(" \n", "\n"), expected);
        clean(&context);
    });
}

// S-RSC-EXEC-FAIL
#[test]
fn a_missing_command_and_exit_1_fail_and_leave_nothing_running() {
    isolated("a_missing_command_and_exit_1_fail_and_leave_nothing_running", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        let driver = exec("");
        let error = driver.activate(&context).expect_err("missing").to_string();
        assert!(error.contains("start.sh does not exist"), "{error}");
        assert_eq!(driver.deactivate(&context), Ok(Outcome::AlreadyDone));
        script(&context, "start.sh", "#!/no/such/interpreter\n");
        assert!(driver.activate(&context).expect_err("bad command").to_string().contains("could not be started"));
        let pid = place.path().join("pid");
        script(&context, "start.sh", &format!("#!/bin/sh\nsleep 60 &\necho $! >{}\necho broken >&2\nexit 1\n", pid.display()));
        let error = driver.activate(&context).expect_err("exit 1").to_string();
        assert!(error.contains("code 1: broken"), "{error}");
        assert_eq!(driver.status(&context), Status::Offline);
        if clp_sys::cgroup::Cgroup::make(&context.group, "probe").is_some() {
            assert!(!lives(std::fs::read_to_string(pid).expect("pid").trim()));
        }
        clean(&context);
    });
}

#[test]
fn a_script_that_forks_away_is_ended_with_its_control_group() {
    isolated("a_script_that_forks_away_is_ended_with_its_control_group", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        if clp_sys::cgroup::Cgroup::make(&context.group, "probe").is_none() {
            return println!("skipped: no writable tree of control groups");
        }
        let pid = place.path().join("pid");
        let text = "#!/bin/sh\nsetsid sh -c 'echo $$ >PID; exec sleep 60' >/dev/null 2>&1 </dev/null &\n\
                    while ! [ -s PID ]; do sleep 0.01; done\n";
        script(&context, "start.sh", &text.replace("PID", &pid.display().to_string()));
        let driver = exec("");
        driver.activate(&context).expect("active");
        let away = std::fs::read_to_string(&pid).expect("pid").trim().to_string();
        assert!(lives(&away));
        assert_eq!(driver.emergency(&context), Ok(Outcome::Changed));
        assert!(!lives(&away));
        clean(&context);
    });
}

#[test]
fn an_asynchronous_program_is_watched_by_its_pid_and_logged_with_the_time() {
    isolated("an_asynchronous_program_is_watched_by_its_pid_and_logged_with_the_time", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "resident1");
        let log = place.path().join("user.log");
        let xml = format!("<act><sync>0</sync></act><userlog>{}</userlog><logrotate><use>1</use></logrotate>", log.display());
        let driver = exec(&xml);
        script(&context, "start.sh", "#!/bin/sh\necho up\nexec sleep 60\n");
        script(&context, "stop.sh", "#!/bin/sh\nexit 0\n");
        driver.activate(&context).expect("active");
        let pid = resident_pid("resident1").expect("pid");
        assert_eq!(driver.activate(&context), Ok(Outcome::AlreadyDone));
        assert_eq!(resident_pid("resident1"), Some(pid));
        let line = format!("[{pid}] up\n");
        until("its words are in the log", || std::fs::read_to_string(&log).is_ok_and(|text| text.ends_with(&line)));
        assert_eq!(std::fs::read_to_string(&log).expect("log").find('['), Some("26/11/27 13:00:00.000".len()));
        driver.deactivate(&context).expect("inactive");
        assert!(!lives(&pid.to_string()));
        clean(&context);
    });
}

/// Take the test's control groups away.
fn clean(context: &Context) {
    for tree in ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"] {
        let group = Path::new(tree).join("mainstay").join(&context.group);
        for name in [context.resource.as_str(), &format!("{}.stop", context.resource), "probe"] {
            let _ = std::fs::remove_dir(group.join(name));
        }
        let _ = std::fs::remove_dir(group);
    }
}
