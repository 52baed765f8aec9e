//! Carries faults out and ends them. What happens inside a server runs beside the storm: a frozen server answers later or never.

use std::{fs, path::PathBuf, thread::JoinHandle};

use anyhow::Result;

use crate::{
    control::Phase,
    lab::Lab,
    options::{Cut, DiskState, Net},
    storm::{
        ground::ORDERS,
        plan::{Fault, GROUPS, SERVERS},
    },
    tools::hold,
};
use std::sync::{Arc, Mutex};

/// Seconds that an operator's command may take before it is given up.
const COMMAND_LIMIT: &str = "40";

/// The hands of the storm.
pub struct Hands {
    lab: Arc<Lab>,
    /// Commands that run inside servers.
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Hands {
    /// For a lab.
    pub fn new(lab: Arc<Lab>) -> Hands {
        Hands { lab, running: Mutex::new(Vec::new()) }
    }

    /// Begins a fault. What cannot be done (to a server that has gone meanwhile) is said and is no error.
    pub fn begin(&self, fault: Fault) {
        let result = match fault {
            Fault::Cut { server, net, carrier } => {
                let cut = Cut::whole(&name(server), net);
                self.lab.cut_as(if carrier { cut.keep_carrier() } else { cut })
            }
            Fault::Deaf { server, net } => self.lab.cut_as(Cut::whole(&name(server), net).one_way()),
            Fault::Pair { one, other, net } => self.lab.cut_as(Cut::whole(&name(one), net).from(&name(other))),
            Fault::Gateway { server } => self.lab.cut_as(Cut::whole(&name(server), Net::Public).from("gateway")),
            Fault::KillEngine { server } => self.kill(server, "clusterpro [e]ngine"),
            Fault::KillParent { server } => self.kill(server, "[c]lusterpro$"),
            Fault::KillBoth { server } => self.kill(server, "[c]lusterpro( engine.*)?$"),
            Fault::KillMonitors { server } => self.kill(server, "clusterpro [m]onitord"),
            Fault::KillApplication { group } => self.kill_application(group),
            Fault::Power { server } => self.lab.power_off(&name(server)).map(drop),
            Fault::PowerLoss => self.all_off(),
            Fault::Pause { server } => self.lab.pause(&name(server)),
            Fault::DiskFails { server } => self.lab.disk_fail(&name(server)),
            Fault::DiskHangs { server } => self.lab.disk_hang(&name(server)),
            Fault::StartFails { group, server } => {
                let which: Vec<u32> = (1..=SERVERS).filter(|number| server == 0 || server == *number).collect();
                which.into_iter().try_for_each(|number| self.order(number, group, "start-fails", true))
            }
            Fault::StopHangs { group } => (1..=SERVERS).try_for_each(|number| self.order(number, group, "stop-hangs", true)),
            Fault::Move { group, to } => self.operator(to, &format!("clpgrp -m {} -a {}", GROUPS[group].name, name(to))),
            Fault::Stop { group } => self.operator_anywhere(&format!("clpgrp -t {}", GROUPS[group].name)),
            Fault::Service { server } => self.operator(server, "clpcl -t"),
            Fault::Reboot { server } => self.operator(server, "clpdown -r"),
        };
        if let Err(error) = result {
            println!("           ({fault}: {error:#})");
        }
    }

    /// Ends a fault; what it has caused goes on.
    pub fn end(&self, fault: Fault) {
        let result = match fault {
            Fault::Cut { server, net, .. } | Fault::Deaf { server, net } => self.lab.heal(&name(server), net),
            Fault::Pair { one, other, net } => self.lab.heal_as(Cut::whole(&name(one), net).from(&name(other))),
            Fault::Gateway { server } => self.lab.heal_as(Cut::whole(&name(server), Net::Public).from("gateway")),
            Fault::Power { server } => self.lab.power_on(&name(server)),
            Fault::PowerLoss => self.all_on(),
            // Off or booting when its watchdog has reset it meanwhile.
            Fault::Pause { server } => self.lab.resume(&name(server)).or(Ok(())),
            Fault::DiskFails { server } | Fault::DiskHangs { server } => self.lab.disk_heal(&name(server)),
            Fault::StartFails { group, .. } => {
                (1..=SERVERS).try_for_each(|number| self.order(number, group, "start-fails", false))
            }
            Fault::StopHangs { group } => (1..=SERVERS).try_for_each(|number| self.order(number, group, "stop-hangs", false)),
            Fault::Service { server } => self.operator(server, "clpcl -s"),
            Fault::Stop { group } => self.start(group),
            Fault::KillEngine { .. }
            | Fault::KillParent { .. }
            | Fault::KillBoth { .. }
            | Fault::KillMonitors { .. }
            | Fault::KillApplication { .. }
            | Fault::Move { .. }
            | Fault::Reboot { .. } => Ok(()),
        };
        if let Err(error) = result {
            println!("           (end of: {fault}: {error:#})");
        }
    }

    /// Mends everything that a lab can have, and starts what stands still: servers without power, services that were stopped.
    ///
    /// # Errors
    /// The bench itself fails.
    pub fn mend(&self) -> Result<()> {
        for server in (1..=SERVERS).map(name) {
            self.lab.heal(&server, Net::All)?;
            let status = self.lab.server_status(&server)?;
            if status.disk != DiskState::Healthy {
                self.lab.disk_heal(&server)?;
            }
            if status.phase == Phase::Paused {
                // It may be reset at this very moment.
                let _ = self.lab.resume(&server);
            }
        }
        for group in 0..GROUPS.len() {
            for what in ["start-fails", "stop-hangs"] {
                (1..=SERVERS).try_for_each(|number| self.order(number, group, what, false))?;
            }
        }
        Ok(())
    }

    /// What an administrator does who looks in now and then: power for a server that is down, the service where it has ended.
    pub fn look_after(&self) {
        let Ok(statuses) = self.lab.status() else { return };
        for (number, status) in (1..).zip(statuses) {
            match status.phase {
                Phase::Off => {
                    if let Err(error) = self.lab.power_on(&status.name) {
                        println!("           ({error:#})");
                    }
                }
                // A service that a final action or an operator stopped; one that starts just now is not started twice.
                Phase::Up => {
                    let line = "pgrep -f 'clusterpro [e]ngine' >/dev/null || pgrep -x rc.boot >/dev/null || clpcl -s";
                    let _ = self.operator(number, line);
                }
                Phase::Paused | Phase::Booting => {}
            }
        }
    }

    /// Starts a group that failed or was stopped, on the first server that takes it: one may run a group that it excludes.
    ///
    /// # Errors
    /// No thread can be started; a refusal is no error.
    pub fn start(&self, group: usize) -> Result<()> {
        let on = |server: u32| format!("clpgrp -s {} -h {}", GROUPS[group].name, name(server));
        self.operator_anywhere(&(1..=SERVERS).map(on).collect::<Vec<_>>().join(" || "))
    }

    /// Waits for all commands; they have limits of their own.
    pub fn wait(&self) {
        let running = std::mem::take(&mut *hold(&self.running));
        running.into_iter().for_each(|thread| drop(thread.join()));
    }

    fn all_off(&self) -> Result<()> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..=SERVERS).map(|server| scope.spawn(move || self.lab.power_off(&name(server)))).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done.map(drop),
                Err(_) => Ok(()),
            })
        })
    }

    fn all_on(&self) -> Result<()> {
        (1..=SERVERS).try_for_each(|server| self.lab.power_on(&name(server)))
    }

    /// Kills by command line inside one server: no other server's processes are seen there.
    fn kill(&self, server: u32, pattern: &str) -> Result<()> {
        self.inside(server, format!("pkill -KILL -f '{pattern}'"))
    }

    /// The application of a group, wherever it runs: at most one server has a process in its control group.
    fn kill_application(&self, group: usize) -> Result<()> {
        let name = GROUPS[group].name;
        let port = super::ground::TRACES[group].port;
        let line = format!("pkill -KILL -f '[:]{port}( |$)' && echo the application of {name} is killed here");
        (1..=SERVERS).try_for_each(|server| self.inside(server, line.clone()))
    }

    /// Lets a script fail, or no more.
    fn order(&self, server: u32, group: usize, what: &str, on: bool) -> Result<()> {
        let directory: PathBuf = self.lab.directory().join(name(server)).join(ORDERS.trim_start_matches('/'));
        fs::create_dir_all(&directory)?;
        let file = directory.join(format!("{}.{what}", GROUPS[group].name));
        match on {
            true => fs::write(file, "")?,
            false => drop(fs::remove_file(file)),
        }
        Ok(())
    }

    /// An operator's command on a server. It may well be refused.
    fn operator(&self, server: u32, line: &str) -> Result<()> {
        self.inside(server, format!("timeout -k 2 {COMMAND_LIMIT} sh -c \"{line}\""))
    }

    /// On the first server that is up.
    fn operator_anywhere(&self, line: &str) -> Result<()> {
        let up = |server: &u32| self.lab.server_status(&name(*server)).is_ok_and(|status| status.phase == Phase::Up);
        let server = (1..=SERVERS).find(up).unwrap_or(1);
        self.operator(server, line)
    }

    fn inside(&self, server: u32, line: String) -> Result<()> {
        let lab = self.lab.clone();
        let thread = std::thread::Builder::new().name("inside".to_string()).spawn(move || {
            if let Ok(output) = lab.exec(&name(server), &["sh", "-c", &line])
                && line.starts_with("timeout")
                && !output.is_ok()
            {
                println!(
                    "           (server{server}: {}: {})",
                    line.trim_start_matches("timeout -k 2 40 "),
                    output.stderr.trim()
                );
            }
        })?;
        hold(&self.running).push(thread);
        Ok(())
    }
}

/// Name of a server.
pub fn name(server: u32) -> String {
    format!("server{server}")
}
