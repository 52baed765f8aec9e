//! genw: a script of one's own says whether all is well, by its exit code or by running at all.
//!
//! A script that is waited for runs anew at each check and is killed, with all that it started, when it exceeds the
//! check's time. One that is left running is started by the first check and ended with the monitor; once it has ended by
//! itself it stays so, and the monitor in error, until the monitor is started again.

use super::{CheckFailed, Context, MonitorDriver, pidw::Pidw, script::Script};
use clp_config::value::Codes;
use clp_sys::process::{self, Outcome, Output, Resident};
use std::{
    thread,
    time::{Duration, Instant},
};

const REMEDY: &str = "see the script's log (parameters/userlog) and run it by hand";
/// Between asking a script to end and killing it, and again until it is gone.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A custom monitor.
#[derive(Debug)]
pub struct Genw {
    script: Script,
    manner: Manner,
}

#[derive(Debug)]
enum Manner {
    Waited { normal: Codes },
    Left { start_wait: Duration, running: Option<Running> },
}

/// A script that was left running.
#[derive(Debug)]
struct Running {
    resident: Resident,
    watch: Pidw,
    since: Instant,
    ended: Option<String>,
}

impl Genw {
    /// From the configuration.
    pub(super) fn configured(parameters: &clp_config::schema::monitors::genw::Genw, context: &Context) -> Genw {
        let output = match (parameters.userlog.as_str(), parameters.rotate) {
            ("", _) => Output::Keep,
            (log, true) => Output::Log(log.into(), u64::from(parameters.rotate_size)),
            (log, false) => Output::Append(log.into()),
        };
        let manner = if parameters.sync {
            Manner::Waited { normal: parameters.normal.clone() }
        } else {
            Manner::Left { start_wait: parameters.start_wait, running: None }
        };
        Genw { script: Script::new(context, &parameters.path, output, &[]), manner }
    }

    fn failed(&self, words: &str) -> CheckFailed {
        CheckFailed::error(format!("script {}: {words}", self.script.path()), REMEDY)
    }
}

impl MonitorDriver for Genw {
    fn check(&mut self, limit: Duration) -> Result<(), CheckFailed> {
        match &mut self.manner {
            Manner::Waited { normal } => match process::run(&self.script.program(limit)?) {
                Outcome::Exited { code, .. } if normal.has(code) => Ok(()),
                ref outcome @ Outcome::TimedOut { ref starved, .. } => {
                    let what = format!("script {}: {}", self.script.path(), outcome.words());
                    let late = CheckFailed::timed_out(what, "see what it waits for, or raise polling/timeout");
                    Err(CheckFailed { starved: starved.clone(), ..late })
                }
                outcome => Err(self.failed(&outcome.words())),
            },
            Manner::Left { running: running @ None, .. } => {
                let program = self.script.program(limit)?;
                // What the script of a monitor daemon that died has left behind.
                if let Some(cgroup) = &program.cgroup {
                    cgroup.kill(END_LIMIT);
                }
                match process::start(&program) {
                    Ok(resident) => {
                        let watch = Pidw::new(Some(resident.pid()));
                        *running = Some(Running { resident, watch, since: Instant::now(), ended: None });
                        Ok(())
                    }
                    Err(words) => Err(self.failed(&format!("it could not be started: {words}"))),
                }
            }
            Manner::Left { start_wait, running: Some(running) } => {
                running.ended = running.ended.take().or_else(|| running.resident.ended());
                match &running.ended {
                    Some(words) if running.since.elapsed() >= *start_wait => {
                        let what = format!("script {}: it has ended ({words})", self.script.path());
                        let remedy = "see its log; it is started again with the monitor (clpmonctrl -s, then -r)";
                        Err(CheckFailed::error(what, remedy))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn hears_events(&self) -> bool {
        matches!(self.manner, Manner::Left { running: Some(_), .. })
    }

    fn wait_event(&mut self, time: Duration) -> bool {
        match &mut self.manner {
            Manner::Left { start_wait, running: Some(running) } => {
                let rest = start_wait.saturating_sub(running.since.elapsed());
                if rest.is_zero() {
                    return running.watch.wait_event(time);
                }
                thread::sleep(time.min(rest));
                false
            }
            _ => {
                thread::sleep(time);
                false
            }
        }
    }
}

impl Drop for Genw {
    /// The monitor ends, and with it what it left running.
    fn drop(&mut self) {
        let cgroup = self.script.cgroup();
        if let Manner::Left { running: Some(running), .. } = &mut self.manner {
            let group = i32::try_from(running.resident.pid()).ok().and_then(rustix::process::Pid::from_raw);
            let signal = |signal| group.is_some_and(|group| rustix::process::kill_process_group(group, signal).is_ok());
            // Nobody reaped the script if it has not been seen to end, so its number is still its own.
            if running.ended.is_none() && running.resident.ended().is_none() {
                signal(rustix::process::Signal::TERM);
                if !Pidw::new(Some(running.resident.pid())).wait_event(END_LIMIT) {
                    signal(rustix::process::Signal::KILL);
                    Pidw::new(Some(running.resident.pid())).wait_event(END_LIMIT);
                }
                let _ = running.resident.ended();
            }
            if let Some(cgroup) = &cgroup {
                cgroup.kill(END_LIMIT);
            }
        }
        if let Some(cgroup) = cgroup {
            cgroup.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heartbeats::tests_support::until;
    use crate::monitors::FailureKind;
    use clp_config::{Document, schema::monitors::genw::Genw as Parameters};
    use clp_sys::paths::Root;
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    const LONG: Duration = Duration::from_secs(20);

    struct Ground {
        root: tempfile::TempDir,
        context: Context,
    }

    /// A product root with the monitor's script in it; each test names a monitor of its own.
    fn ground(monitor: &str, script: &str) -> Ground {
        let root = tempfile::tempdir().expect("root");
        let context = Context { root: Root::at(root.path()), monitor: monitor.into(), ..Context::default() };
        let folder = root.path().join("scripts/monitor.s").join(monitor);
        fs::create_dir_all(&folder).expect("folder");
        write(&folder.join("genw.sh"), script);
        Ground { root, context }
    }

    fn write(path: &Path, script: &str) {
        fs::write(path, script).expect("script");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("mode");
    }

    fn monitor(ground: &Ground, parameters: &str) -> Genw {
        let text = format!("<root><parameters>{parameters}</parameters></root>");
        let document = Document::read(text.as_bytes()).expect("document");
        let mut problems = Vec::new();
        let parameters = Parameters::read(document.root(), "", &[], &mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        Genw::configured(&parameters, &ground.context)
    }

    // S-MON-GENW
    #[test]
    fn the_exit_code_decides_and_the_list_of_normal_ones_is_kept() {
        let ground = ground("genwcode", "#!/bin/sh\nexit $(cat ${0%/*}/code)\n");
        let code = ground.root.path().join("scripts/monitor.s/genwcode/code");
        for (parameters, normal, wrong) in
            [("", vec![0], vec![1, 2]), ("<normalval>1,3-4</normalval>", vec![1, 3, 4], vec![0, 2, 5])]
        {
            let mut monitor = monitor(&ground, parameters);
            for number in normal {
                fs::write(&code, number.to_string()).expect("code");
                monitor.check(LONG).unwrap_or_else(|error| panic!("{number}: {error}"));
            }
            for number in wrong {
                fs::write(&code, number.to_string()).expect("code");
                let failed = monitor.check(LONG).expect_err("not a normal code");
                assert_eq!(failed.kind, FailureKind::Error);
                assert!(failed.what.contains(&format!("it ended with code {number}")), "{failed}");
            }
        }
    }

    // S-MON-GENW
    #[test]
    fn a_script_that_exceeds_its_time_is_a_time_out_and_killed_with_its_children() {
        let ground = ground("genwlate", "#!/bin/sh\nsleep 987 &\necho $! > ${0%/*}/child\nwait\n");
        let begin = Instant::now();
        let failed = monitor(&ground, "").check(Duration::from_millis(300)).expect_err("late");
        assert_eq!(failed.kind, FailureKind::TimedOut, "{failed}");
        assert!(begin.elapsed() < Duration::from_secs(15));
        let child = fs::read_to_string(ground.root.path().join("scripts/monitor.s/genwlate/child")).expect("it ran");
        until("the child is gone", || !Path::new("/proc").join(child.trim()).exists());
    }

    #[test]
    fn scripts_are_named_when_missing_and_told_who_runs_them() {
        let ground = ground("genwenv", "#! /bin/sh\necho \"$CLP_MONITORNAME $CLP_PATH $CLP_VERSION_FULL\"\nexit 1\n");
        let failed = monitor(&ground, "").check(LONG).expect_err("code 1");
        let told = format!("genwenv {} 3.0.0-1", ground.root.path().display());
        assert!(failed.what.contains(&told), "{failed}");
        let failed = monitor(&ground, "<path>other.sh</path>").check(LONG).expect_err("missing");
        assert!(failed.what.contains("scripts/monitor.s/genwenv/other.sh does not exist"), "{failed}");
        let outside = ground.root.path().join("application");
        write(&outside, "#!/bin/sh\nexit 0\n");
        let parameters = format!("<default>0</default><path>{}</path>", outside.display());
        monitor(&ground, &parameters).check(LONG).expect("a user's application");
        write(&outside, "#! /no/such/interpreter\n");
        let failed = monitor(&ground, &parameters).check(LONG).expect_err("cannot run");
        assert!(failed.what.contains("could not be started"), "{failed}");
    }

    #[test]
    fn output_goes_to_the_log_which_is_rotated_at_its_size() {
        let ground = ground("genwlog", "#!/bin/sh\necho out; echo err >&2\n");
        let log = ground.root.path().join("genw.log");
        let lines = |path: &Path| fs::read_to_string(path).unwrap_or_default().lines().map(String::from).collect::<Vec<_>>();
        let parameters = format!("<userlog>{}</userlog>", log.display());
        monitor(&ground, &parameters).check(LONG).expect("normal");
        assert_eq!(lines(&log), ["out", "err"]);
        let rotated = format!("{parameters}<logrotate><use>1</use><size>200</size></logrotate>");
        let mut monitor = monitor(&ground, &rotated);
        let before = log.with_extension("log.pre");
        let deadline = Instant::now() + LONG;
        while !before.exists() {
            assert!(Instant::now() < deadline, "never rotated: {:?}", lines(&log));
            monitor.check(LONG).expect("normal");
        }
        let stamped = lines(&before).pop().expect("a line");
        let (time, text) = stamped.split_once("] ").expect("time and process id before the text");
        assert!(time.contains('[') && time.matches('/').count() == 2 && (text == "out" || text == "err"), "{stamped}");
    }

    #[test]
    fn a_script_left_running_is_watched_and_ended_with_the_monitor() {
        let ground = ground("genwleft", "#!/bin/sh\necho $$ > ${0%/*}/pid\nsleep 976 &\nwait\n");
        let file = ground.root.path().join("scripts/monitor.s/genwleft/pid");
        let mut left = monitor(&ground, "<sync>0</sync>");
        left.check(LONG).expect("started");
        let pid = || fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<i32>().ok());
        until("it runs", || pid().is_some());
        let first = pid().and_then(rustix::process::Pid::from_raw).expect("pid");
        left.check(LONG).expect("runs");
        assert!(!left.wait_event(Duration::from_millis(10)));
        rustix::process::kill_process(first, rustix::process::Signal::KILL).expect("kill");
        assert!(left.wait_event(LONG), "its end is told at once");
        for _ in 0..2 {
            let failed = left.check(LONG).expect_err("ended");
            assert!(failed.what.contains("it has ended"), "{failed}");
        }
        // A new start of the monitor starts it anew, and ends what the last one left behind.
        drop(left);
        fs::remove_file(&file).expect("file");
        let mut again = monitor(&ground, "<sync>0</sync>");
        again.check(LONG).expect("started");
        until("it runs again", || pid().is_some());
        let second = pid().expect("pid");
        drop(again);
        let gone = || fs::read_to_string(format!("/proc/{second}/stat")).map_or(true, |stat| stat.contains(") Z "));
        assert!(gone(), "it outlived its monitor");
        until("its child is gone", || !is_sleeping("976"));
    }

    fn is_sleeping(seconds: &str) -> bool {
        let wanted = format!("sleep\0{seconds}\0");
        let all = fs::read_dir("/proc").expect("proc").flatten();
        all.map(|entry| fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default()).any(|line| line == wanted)
    }

    #[test]
    fn a_script_is_not_judged_before_its_time_to_start_is_over() {
        let ground = ground("genwwait", "#!/bin/sh\nexit 0\n");
        let mut patient = monitor(&ground, "<sync>0</sync><waitmonstart>9999</waitmonstart>");
        patient.check(LONG).expect("started");
        let Manner::Left { running: Some(running), .. } = &mut patient.manner else { panic!("left running") };
        assert!(running.watch.wait_event(LONG), "it ends by itself");
        patient.check(LONG).expect("not judged yet");
        let mut hasty = monitor(&ground, "<sync>0</sync>");
        hasty.check(LONG).expect("started");
        assert!(hasty.wait_event(LONG), "it ends by itself");
        hasty.check(LONG).expect_err("judged at once");
    }

    /// What a monitor says, and what is in its log afterwards: a script that writes a line and ends with code 3.
    fn story(name: &str, parameters: &str) -> String {
        let ground = ground(name, "#!/bin/sh\necho a line\nexit 3\n");
        write(&ground.root.path().join("scripts/monitor.s").join(name).join("other.sh"), "#!/bin/sh\nexit 0\n");
        let log = ground.root.path().join("log");
        let parameters = parameters.replace("LOG", &log.to_string_lossy());
        let mut monitor = monitor(&ground, &parameters);
        let mut say = || {
            monitor.check(LONG).map_or_else(|failed| failed.what.rsplit('/').next().unwrap_or("").to_string(), |()| "ok".into())
        };
        let mut story = say();
        if parameters.contains("<sync>0") {
            // The first check starts it, and it ends at once.
            until("it has ended or need not", || say() != "ok" || parameters.contains("waitmonstart"));
            story = format!("{story}, then {}", say());
        }
        if parameters.contains("userlog") {
            until("its line is there", || fs::read_to_string(&log).is_ok_and(|text| text.contains("a line")));
            let is_stamped = !fs::read_to_string(&log).expect("log").starts_with("a line");
            story += if is_stamped { ", stamped" } else { ", plain" };
            say();
            until("it came again", || {
                let lines = fs::read_to_string(&log).unwrap_or_default().lines().count();
                lines == 2 || log.with_extension("pre").exists()
            });
            story += if log.with_extension("pre").exists() { ", rotated" } else { "" };
        }
        story
    }

    const ENDED: &str = "genw.sh: it ended with code 3: a line";
    const LOGGED: &str = "<userlog>LOG</userlog>";

    /// Every declared parameter: what makes the difference, and what is said without and with it.
    #[rustfmt::skip]
    const TABLE: &[(&str, &str, &str, &str, &str)] = &[
        ("parameters/path", "", ENDED, "<path>other.sh</path>", "ok"),
        // With 0 the rules want an absolute path, which is taken as it stands.
        ("parameters/default", "<path>/bin/true</path>", "ok", "<default>0</default><path>/bin/true</path>", "ok"),
        ("parameters/sync", "<sync>1</sync>", ENDED, "<sync>0</sync>", "ok, then genw.sh: it has ended (exit status: 3)"),
        ("parameters/normalval", "", ENDED, "<normalval>1,3</normalval>", "ok"),
        ("parameters/waitmonstart", "<sync>0</sync>", "ok, then genw.sh: it has ended (exit status: 3)", "<sync>0</sync><waitmonstart>900</waitmonstart>", "ok, then ok"),
        // The engine waits, not the monitor: cases/monitors.rs.
        ("parameters/waitstop", "", ENDED, "<waitstop>1</waitstop>", ENDED),
        ("parameters/userlog", "", ENDED, LOGGED, "genw.sh: it ended with code 3, plain"),
        ("parameters/logrotate/use", LOGGED, "genw.sh: it ended with code 3, plain", "<userlog>LOG</userlog><logrotate><use>1</use></logrotate>", "genw.sh: it ended with code 3: a line, stamped"),
        ("parameters/logrotate/size", "<userlog>LOG</userlog><logrotate><use>1</use></logrotate>", "genw.sh: it ended with code 3: a line, stamped",
            "<userlog>LOG</userlog><logrotate><use>1</use><size>1</size></logrotate>", "genw.sh: it ended with code 3: a line, stamped, rotated"),
    ];

    #[test]
    fn every_parameter_does_what_it_says() {
        let declared =
            clp_config::schema::SECTIONS.iter().find(|(section, _)| *section == "monitor/genw@NAME").expect("declared").1;
        let mut declared: Vec<&str> = declared.iter().map(|param| param.path).collect();
        let mut rows: Vec<&str> = TABLE.iter().map(|row| row.0).collect();
        declared.sort_unstable();
        rows.sort_unstable();
        assert_eq!(rows, declared, "each parameter has a row");
        for (number, (path, before, said_before, with, said_with)) in TABLE.iter().enumerate() {
            assert_eq!(story(&format!("genwrow{number}a"), before), *said_before, "{path}: {before}");
            assert_eq!(story(&format!("genwrow{number}b"), with), *said_with, "{path}: {with}");
        }
    }
}
