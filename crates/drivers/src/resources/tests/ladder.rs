//! The rungs of the stop ladder against real processes, mounts and devices.

use super::*;
use clp_sys::cgroup::Cgroup;
use std::io::Write;
use std::time::{Duration, Instant};

/// Says why when the machine offers no control groups.
fn has_cgroups(context: &Context) -> bool {
    let found = Cgroup::make(&context.group, "probe").is_some();
    if !found {
        println!("skipped: no writable tree of control groups");
    }
    found
}

/// Process ids that a script wrote into a file, once there are `count` of them.
fn pids(file: &Path, count: usize) -> Vec<String> {
    let read = || std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_string).collect::<Vec<_>>();
    until("the processes have told their numbers", || read().len() >= count);
    read()
}

#[test]
fn a_process_that_forks_again_whenever_it_is_killed_is_ended_with_all_its_children() {
    isolated("ladder::a_process_that_forks_again_whenever_it_is_killed_is_ended_with_all_its_children", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        if !has_cgroups(&context) {
            return;
        }
        let file = place.path().join("pids");
        // Two that watch each other, deaf to SIGTERM: whoever sees the other one gone starts a new one, far from the session.
        let watch = place.path().join("watch.sh");
        let text = "#!/bin/sh\ntrap '' TERM\necho $$ >>FILE\nwhile sleep 0.02; do kill -0 $1 2>/dev/null || { setsid WATCH $$ & set -- $!; }; done\n";
        let text = text.replace("FILE", &file.display().to_string()).replace("WATCH", &watch.display().to_string());
        std::fs::write(&watch, text).expect("script");
        std::fs::set_permissions(&watch, std::fs::Permissions::from_mode(0o755)).expect("mode");
        script(&context, "start.sh", &format!("#!/bin/sh\nsetsid {} 4194305 >/dev/null 2>&1 </dev/null &\n", watch.display()));
        script(&context, "stop.sh", "#!/bin/sh\nexit 0\n");
        let driver = exec("");
        driver.activate(&context).expect("active");
        let first = pids(&file, 2);
        // It really comes again: one of the two is killed, and a third appears.
        sh(&format!("kill -9 {}", first[1]));
        pids(&file, 3);
        assert_eq!(driver.deactivate(&context), Ok(Outcome::Changed));
        for pid in pids(&file, 3) {
            assert!(!lives(&pid), "{pid} outlived the kill");
        }
        assert_eq!(driver.status(&context), Status::Offline);
        clean(&context);
    });
}

#[test]
fn what_the_stop_script_told_to_end_may_end_by_itself_and_then_by_a_signal() {
    isolated("ladder::what_the_stop_script_told_to_end_may_end_by_itself_and_then_by_a_signal", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        if !has_cgroups(&context) {
            return;
        }
        let (file, told) = (place.path().join("pids"), place.path().join("told"));
        let slow = "#!/bin/sh\ntrap 'echo by itself >>TOLD; exit 0' USR1\ntrap 'echo by a signal >>TOLD; exit 0' TERM\n\
                    echo $$ >>FILE\nwhile :; do sleep 0.02; done\n";
        let slow = slow.replace("TOLD", &told.display().to_string()).replace("FILE", &file.display().to_string());
        let application = place.path().join("application");
        std::fs::write(&application, slow).expect("script");
        std::fs::set_permissions(&application, std::fs::Permissions::from_mode(0o755)).expect("mode");
        script(&context, "start.sh", &format!("#!/bin/sh\nsetsid {} >/dev/null 2>&1 </dev/null &\n", application.display()));
        let driver = exec("<deact><sync>0</sync></deact><timeout><stop>20</stop></timeout>");
        // Told a moment after the script that is not waited for has begun: it is waited for the application.
        script(&context, "stop.sh", &format!("#!/bin/sh\nsleep 0.3\nkill -USR1 $(cat {})\n", file.display()));
        driver.activate(&context).expect("active");
        pids(&file, 1);
        driver.deactivate(&context).expect("inactive");
        assert_eq!(std::fs::read_to_string(&told).expect("told"), "by itself\n");
        // A script that tells it nothing: then it is asked by a signal before it is killed.
        script(&context, "stop.sh", "#!/bin/sh\nexit 0\n");
        std::fs::remove_file(&file).expect("file");
        let driver = exec("");
        driver.activate(&context).expect("active");
        pids(&file, 1);
        driver.deactivate(&context).expect("inactive");
        assert_eq!(std::fs::read_to_string(&told).expect("told"), "by itself\nby a signal\n");
        clean(&context);
    });
}

#[test]
fn a_stop_script_at_its_time_limit_is_killed_with_what_it_started_and_nothing_else() {
    isolated("ladder::a_stop_script_at_its_time_limit_is_killed_with_what_it_started_and_nothing_else", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        if !has_cgroups(&context) {
            return;
        }
        let file = |name: &str| place.path().join(name);
        let away = |name: &str| {
            format!("setsid sh -c 'echo $$ >{}; exec sleep 60' >/dev/null 2>&1 </dev/null &\n", file(name).display())
        };
        script(&context, "start.sh", &format!("#!/bin/sh\n{}", away("application")));
        script(&context, "stop.sh", &format!("#!/bin/sh\n{}exec sleep 60\n", away("helper")));
        let mut foreign = Command::new("sleep").arg("60").spawn().expect("foreign");
        let driver = exec("<timeout><stop>1</stop></timeout>");
        driver.activate(&context).expect("active");
        let application = pids(&file("application"), 1).remove(0);
        let error = driver.deactivate(&context).expect_err("too late");
        assert_eq!(error.code, code::TIMED_OUT);
        assert!(error.what.contains("did not end in time") && error.what.contains("wait channel"), "{error}");
        assert!(!lives(&pids(&file("helper"), 1)[0]), "what the stop script started outlived it");
        assert!(lives(&application), "the application was killed for its stop script");
        assert_eq!(driver.status(&context), Status::Online);
        assert_eq!(driver.detach(&context), Ok(Outcome::Changed));
        assert!(!lives(&application));
        assert!(foreign.try_wait().expect("state").is_none(), "a foreign process was killed");
        foreign.kill().and_then(|()| foreign.wait()).expect("ended");
        clean(&context);
    });
}

#[test]
fn exit_codes_are_told_as_they_are() {
    isolated("ladder::exit_codes_are_told_as_they_are", || {
        let place = tempfile::tempdir().expect("place");
        let context = context(place.path(), "exec1");
        let driver = exec("<timeout><start>1</start></timeout>");
        assert_eq!(driver.activate(&context).expect_err("missing").code, code::MISSING);
        for (text, code) in [
            ("#!/bin/sh\nexit 77\n", 77),
            ("#!/bin/sh\nkill -9 $$\n", code::SIGNALED + 9),
            ("#!/no/such/interpreter\n", code::NOT_STARTED),
            ("#!/bin/sh\nexec sleep 60\n", code::TIMED_OUT),
        ] {
            script(&context, "start.sh", text);
            assert_eq!(driver.activate(&context).expect_err("it fails").code, code, "{text}");
            assert_eq!(driver.status(&context), Status::Offline);
        }
        clean(&context);
    });
}

#[test]
fn a_stop_after_a_restart_of_the_service_is_told_what_the_start_was_told() {
    isolated("ladder::a_stop_after_a_restart_of_the_service_is_told_what_the_start_was_told", || {
        let place = tempfile::tempdir().expect("place");
        let mut context = context(place.path(), "exec1");
        let log = place.path().join("user.log");
        let driver = exec(&format!("<userlog>{}</userlog>", log.display()));
        script(&context, "start.sh", "#!/bin/sh\nexit 0\n");
        script(&context, "stop.sh", "#!/bin/sh\necho $CLP_EVENT $CLP_DISK\n");
        context.after_failure = true;
        driver.activate(&context).expect("active");
        // A new life of the service knows nothing of how the group came here, nor of its disks.
        context.after_failure = false;
        context.disk_ok = None;
        driver.deactivate(&context).expect("inactive");
        assert_eq!(std::fs::read_to_string(&log).expect("log"), "FAILOVER SUCCESS\n");
        clean(&context);
    });
}

#[test]
fn a_mount_kept_busy_by_a_stranger_is_detached_with_all_that_was_written() {
    isolated("ladder::a_mount_kept_busy_by_a_stranger_is_detached_with_all_that_was_written", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let (driver, context) = (disk(&device.0, &point, ""), context(place.path(), "disk1"));
        driver.activate(&context).expect("active");
        let mut open = std::fs::File::create(point.join("data")).expect("file");
        open.write_all(b"written and not flushed").expect("written");
        let mut stranger = Command::new("sleep").arg("60").current_dir(&point).spawn().expect("stranger");
        let error = driver.deactivate(&context).expect_err("held");
        assert_eq!(error.code, 32, "the code of umount(8)");
        assert!(error.what.contains(&format!("sleep (pid {})", stranger.id())), "{error}");
        assert_eq!(driver.detach(&context), Ok(Outcome::Changed));
        assert_eq!(driver.status(&context), Status::Offline);
        assert!(stranger.try_wait().expect("state").is_none(), "a stranger was killed");
        assert!(open.write_all(&[1; 4096]).and_then(|()| open.sync_all()).is_err(), "a descriptor from before still writes");
        // Nothing reaches the device any more, and what was written before is on it.
        let digest = || sh(&format!("blockdev --flushbufs {0}; md5sum < {0}", device.0.display()));
        let before = digest();
        stranger.kill().and_then(|()| stranger.wait()).expect("ended");
        drop(open);
        assert_eq!(digest(), before, "something was written after the disk was cut off");
        let other = Loop(sh(&format!("losetup -f --show {}", place.path().join("image").display())).into());
        sh(&format!("blockdev --setrw {0}; mkdir {1}; mount {0} {1}", other.0.display(), place.path().join("other").display()));
        let found = std::fs::read_to_string(place.path().join("other/data")).expect("file");
        assert_eq!(found, "written and not flushed");
    });
}

#[test]
fn a_copy_of_the_mount_in_a_container_is_found_and_shut_down() {
    isolated("ladder::a_copy_of_the_mount_in_a_container_is_found_and_shut_down", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let point = place.path().join("point");
        let (driver, context) = (disk(&device.0, &point, ""), context(place.path(), "disk1"));
        driver.activate(&context).expect("active");
        let mut container =
            Command::new("unshare").args(["--mount", "--propagation", "private", "sleep", "60"]).spawn().expect("container");
        let inside = format!("/proc/{}/root{}", container.id(), point.display());
        let own = std::fs::read_link("/proc/self/ns/mnt").expect("own namespace");
        until("the container has its namespace", || {
            std::fs::read_link(format!("/proc/{}/ns/mnt", container.id())).is_ok_and(|theirs| theirs != own)
        });
        let error = driver.deactivate(&context).expect_err("still mounted");
        assert!(error.what.contains(&format!("another mount namespace, of sleep (pid {})", container.id())), "{error}");
        std::fs::write(format!("{inside}/file"), "text").expect("the copy can be written");
        driver.detach(&context).expect("cut off");
        let write = std::fs::File::create(format!("{inside}/again"))
            .and_then(|mut file| file.write_all(b"x").and_then(|()| file.sync_all()));
        assert!(write.is_err(), "the copy still writes");
        container.kill().and_then(|()| container.wait()).expect("ended");
    });
}

// S-OPS-DISKINIT
#[test]
fn an_activation_waits_for_a_late_device_and_not_for_ever() {
    isolated("ladder::an_activation_waits_for_a_late_device_and_not_for_ever", || {
        let place = tempfile::tempdir().expect("place");
        let device = Loop::with(&place.path().join("image"));
        let (late, point) = (place.path().join("late"), place.path().join("point"));
        let with_wait = |seconds: u32| disk(&late, &point, &format!("<mainstay><devicewait>{seconds}</devicewait></mainstay>"));
        let context = context(place.path(), "disk1");
        let began = Instant::now();
        let error = with_wait(1).activate(&context).expect_err("it never comes");
        assert!(error.what.contains("is not a block device after 1 s") && error.code == 19, "{error}");
        assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(20));
        let (target, link) = (device.0.clone(), late.clone());
        let comes = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(700));
            std::os::unix::fs::symlink(target, link).expect("link");
        });
        assert_eq!(with_wait(60).activate(&context), Ok(Outcome::Changed));
        comes.join().expect("it came");
        with_wait(0).deactivate(&context).expect("inactive");
    });
}
