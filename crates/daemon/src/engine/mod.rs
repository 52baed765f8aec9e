//! The engine: one thread owns the core and loops: take an input, let the core decide, carry out, sleep until the next deadline.
//!
//! Everything that can block runs elsewhere and comes back as an [`Input`]: resources (`work.rs`), partition questions
//! (`asker.rs`), floating addresses once they are active (`addresses.rs`), commands (`control.rs`), monitors (`watch.rs`), alerts and logs (`record.rs`), the watchdog (`feed.rs`).
//! This loop waits for nothing but its channel.

mod addresses;
mod asked;
mod asker;
mod control;
mod feed;
mod finals;
mod keeper;
mod monitors;
mod net;
mod ordered;
mod paths;
mod record;
mod refused;
mod requests;
mod scripts;
mod search;
mod status;
mod took;
mod unusable;
mod watch;
mod words;
mod work;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use clp_alerts::Alert;
use clp_config::MonitorKind;
use clp_core::action::{Action, Alert as Fact, Work};
use clp_core::cluster::{Cluster, Identity};
use clp_core::event::Event;
use clp_core::ids::{GroupId, ServerId};
use clp_core::message::{Answer, ResourceState};
use clp_core::plan::AfterStop;
use clp_core::time::Time;
use clp_drivers::heartbeats::Received;
use clp_protocol::control::{Reply, Request};

use crate::setup::{self, Loaded};
use crate::exit;

/// Inputs taken in one go before the deadline is looked at again: a flood must not hold up heartbeats.
const INPUTS_AT_ONCE: usize = 256;

/// How long the loop works without having waited for anything: less than what costs a thread its real-time priority.
const BURST_MAX: Duration = Duration::from_millis(50);
/// What it rests then: the kernel counts the run time of a real-time thread anew, and others of this processor get their turn.
const REST: Duration = Duration::from_millis(5);

/// What wakes the loop.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a few of them wait at a time; the frequent one, a datagram, is small")]
pub enum Input {
    /// A sealed datagram from a heartbeat path.
    Datagram(Received),
    /// Something the core is told as it is.
    Event(Event),
    /// A request on the control socket, and who asks.
    Control(Request, String, Sender<Reply>),
    /// The monitor daemon connected; it must be told what runs.
    MonitordHere(Sender<crate::ipc::Order>),
    /// The monitor daemon tells something.
    Monitord(crate::ipc::Told),
    /// The script before a step of a monitor's recovery ended.
    ScriptEnded(scripts::Ended),
    /// The script before a resource's final action ended.
    FinalScriptEnded(finals::Ended),
    /// The parent is gone.
    ParentGone,
    /// An alert of a thread that knows no more than it says.
    Say(Alert),
    /// A periodic look at the partition resolution's targets ended: per resource, reachable or not, with words.
    PartitionSeen(Vec<Option<(bool, String)>>),
}

/// Everything the loop owns.
struct Engine {
    loaded: Arc<Loaded>,
    cluster: Cluster,
    net: net::Net,
    work: work::Workers,
    asker: Option<asker::Asker>,
    search: search::Search,
    addresses: addresses::Addresses,
    watch: watch::Watch,
    scripts: scripts::Scripts,
    record: record::Record,
    feed: feed::Feed,
    waiting: BTreeMap<u64, requests::Waiting>,
    unusable: unusable::Unusable,
    /// Answers that hold once the service has ended.
    held: Vec<(u64, Answer)>,
    next_request: u64,
    partition_seen: Vec<Option<(bool, String)>>,
    refused: refused::Refused,
    keeper: keeper::Keeper,
    /// What operators ordered for monitors.
    ordered: ordered::Ordered,
    took: took::Took,
}

/// Run the engine under its parent.
pub fn main() -> ExitCode {
    abort_on_panic();
    let root = clp_sys::paths::Root::from_env();
    match run(root) {
        Ok(code) => ExitCode::from(code),
        Err(reason) => {
            setup::complain(&reason.to_string());
            ExitCode::from(exit::CANNOT_START)
        }
    }
}

/// A mistake on any thread ends the engine, so that its parent acts: one that went on without the thread that carries out work or
/// hears a path would look healthy to everybody else.
fn abort_on_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::abort();
    }));
}

/// The core's clock: microseconds of a clock that counts suspended time.
pub fn now() -> Time {
    Time(u64::try_from(clp_sys::clock::now().as_micros()).unwrap_or(u64::MAX))
}

fn run(root: clp_sys::paths::Root) -> Result<u8, String> {
    let loaded = Arc::new(setup::load(&root)?);
    let plan = clp_core::configured::plan(&loaded.configuration);
    let me = setup::own_position(&loaded.configuration)?;
    let (inputs, queue) = channel();
    let trust = setup::cluster_key(&root)?;
    let incarnation = setup::next_incarnation(&root)?;
    let identity = Identity {
        me,
        incarnation,
        boot: setup::boot_digest(),
        paths: loaded.configuration.heartbeats.len(),
        generation: loaded.generation,
        suspended: setup::was_suspended(&root),
        ratio: setup::kept_ratio(&root),
        reboots: setup::reboots(&root),
    };
    if let Err(reason) = clp_sys::realtime::lock_memory() {
        setup::complain(&reason.to_string());
    }
    let record = record::Record::open(&root, loaded.clone(), me);
    ordered::left_by_last_life(&root).iter().for_each(|alert| record.say(alert));
    for resource in &loaded.configuration.resources {
        if let Err(cause) = setup::context(&loaded, me.index(), resource).make_room() {
            let what = format!("that resource {} may be active here", resource.name);
            record.say(&Alert::state_not_kept(&what, &cause.to_string()));
        }
    }
    record.say(&Alert::daemon_started());
    let feed = feed::Feed::start(&root, &loaded.configuration);
    let work = work::Workers::start(loaded.clone(), me, inputs.clone());
    let asker = asker::Asker::start(&loaded.configuration, me, &plan.timing, inputs.clone());
    let search = search::Search::start(&loaded.configuration, me, &plan.timing, inputs.clone());
    let addresses = addresses::Addresses::start(&loaded, me, inputs.clone());
    let keeper = keeper::Keeper::start(&root, inputs.clone());
    let watch = watch::Watch::listen(&root, inputs.clone())?;
    let scripts = scripts::Scripts::start(loaded.clone(), inputs.clone());
    control::listen(&root, inputs.clone())?;
    let net = net::Net::open(&loaded, me, incarnation, trust, inputs.clone())?;
    watch_parent(inputs.clone());
    if let Err(reason) = clp_sys::realtime::promote_this_thread(clp_sys::realtime::HEARTBEAT_PRIORITY) {
        record.note(format!("{reason}; heartbeats run at ordinary priority"));
    }
    let cluster = Cluster::new(plan, identity, now());
    let engine = Engine {
        loaded,
        cluster,
        net,
        work,
        asker,
        search,
        addresses,
        watch,
        scripts,
        record,
        feed,
        waiting: BTreeMap::new(),
        unusable: unusable::Unusable::default(),
        held: Vec::new(),
        next_request: 1,
        partition_seen: Vec::new(),
        refused: refused::Refused::default(),
        keeper,
        ordered: ordered::Ordered::default(),
        took: took::Took::default(),
    };
    Ok(engine.turn(&queue))
}

/// The parent holds our standard input open; its end means that the parent is gone.
fn watch_parent(inputs: Sender<Input>) {
    std::thread::spawn(move || {
        let mut byte = [0u8; 1];
        loop {
            match std::io::Read::read(&mut std::io::stdin(), &mut byte) {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let _ = inputs.send(Input::ParentGone);
    });
}

impl Engine {
    fn turn(mut self, queue: &Receiver<Input>) -> u8 {
        // What the core already wants at its start.
        let mut ended = self.step(Event::Deadline);
        let mut waited = now();
        loop {
            if let Some(code) = ended {
                return self.end(code, queue);
            }
            if now().since(waited) > BURST_MAX {
                std::thread::sleep(REST);
                waited = now();
            }
            let at = now();
            let wait = self.cluster.next_deadline(at).since(at);
            let first = match queue.try_recv() {
                Ok(input) => Some(input),
                Err(_) => {
                    // One piece of work was too long; without its priority a busy machine would starve this loop, and be reset for it.
                    if clp_sys::realtime::regain(clp_sys::realtime::HEARTBEAT_PRIORITY) {
                        self.record.note("the engine worked long without a pause, at ordinary priority; it is over".into());
                    }
                    let received = queue.recv_timeout(wait);
                    waited = now();
                    match received {
                        Ok(input) => Some(input),
                        Err(RecvTimeoutError::Timeout) => None,
                        Err(RecvTimeoutError::Disconnected) => unreachable!("the loop's own senders keep the channel open"),
                    }
                }
            };
            for input in first.into_iter().chain(queue.try_iter().take(INPUTS_AT_ONCE)) {
                if let Some(code) = self.take(input) {
                    return self.end(code, queue);
                }
            }
            self.count_dropped();
            self.keep_files();
            ended = self.step(Event::Deadline);
            self.addresses.tell(&self.cluster);
            self.feed.turn(self.cluster.may_feed_watchdog(now()));
        }
    }

    /// Work on resources needs files: a limit that somebody lowered would make it fail here.
    fn keep_files(&mut self) {
        if let Some(limit) = setup::files_lifted() {
            self.record.say(&Alert::files_short("clusterpro engine", &limit));
        }
    }

    fn take(&mut self, input: Input) -> Option<u8> {
        match input {
            Input::Datagram(received) => match self.net.open_datagram(&received) {
                Ok(event) => self.step(event),
                Err(refusal) => self.refuse(received.path, refusal),
            },
            Input::Event(event) => {
                self.tell_of_work(&event);
                self.step(event)
            }
            Input::Control(request, by, reply) => self.control(request, by, reply),
            Input::MonitordHere(sender) => {
                self.watch.connected(sender);
                None
            }
            Input::Monitord(told) => self.monitord_told(told),
            Input::ScriptEnded(ended) => self.script_ended(&ended),
            Input::FinalScriptEnded(ended) => self.final_script_ended(&ended),
            Input::ParentGone => Some(self.parent_gone()),
            Input::Say(alert) => {
                self.record.say(&alert);
                None
            }
            Input::PartitionSeen(seen) => {
                let reachable = seen.iter().map(|seen| seen.as_ref().map(|(reachable, _)| *reachable)).collect();
                self.tell_of_partition(&seen);
                self.partition_seen = seen;
                self.step(Event::PartitionSeen { reachable })
            }
        }
    }

    /// The parent died: nobody would act if this engine died too, so everything is given up while it still can.
    fn parent_gone(&mut self) -> u8 {
        self.record.say(&Alert::process_died("clusterpro", "the engine's standard input closed"));
        // What failed is in the log by now, and what follows is the same.
        let _ = setup::give_up(&self.loaded);
        let then = setup::process_failure_action(&self.loaded.configuration);
        if let Err(reason) = setup::end_server(&self.loaded.root, then) {
            self.record.note(reason.to_string());
        }
        exit::STOPPED
    }

    /// Tell when a partition resolution stops or begins to answer; one that works from the start is no news.
    fn tell_of_partition(&self, seen: &[Option<(bool, String)>]) {
        let configuration = &self.loaded.configuration;
        let server = &configuration.servers[self.me().index()];
        for (index, (partition, seen)) in configuration.partitions.iter().zip(seen).enumerate() {
            let Some((up, words)) = seen else { continue };
            let was_up = self.partition_seen.get(index).and_then(Option::as_ref).is_none_or(|(up, _)| *up);
            match (was_up, *up) {
                (true, false) => self.record.say(&Alert::partition_down(&partition.name, &server.name, words)),
                (false, true) => self.record.say(&Alert::partition_up(&partition.name, &server.name)),
                _ => {}
            }
        }
    }

    /// Tell of work on a resource that ended well; what failed is the core's to tell.
    fn tell_of_work(&mut self, event: &Event) {
        let Event::ResourceDone { op, resource, result } = event else { return };
        let work = self.work.ended(*op);
        self.took.ended(*op, *resource, work, result.is_ok(), now());
        let name = &self.loaded.configuration.resources[resource.index()].name;
        match (work, result) {
            (Some(Work::Activate { .. }), Ok(())) => self.record.say(&Alert::activation_done(name)),
            (Some(Work::Deactivate { .. }), Ok(())) => self.record.say(&Alert::deactivation_done(name)),
            _ => {}
        }
    }

    /// Tell which paths cannot be used here, each time that one turns so.
    fn tell_of_unusable_paths(&mut self) {
        let configuration = &self.loaded.configuration;
        for (path, reason) in self.unusable.news(self.net.states()) {
            let server = &configuration.servers[self.net.me().index()].name;
            self.record.say(&Alert::path_unusable(&configuration.heartbeats[path].name, server, &reason));
        }
    }

    fn step(&mut self, event: Event) -> Option<u8> {
        let actions = self.cluster.handle(now(), event);
        let ends = actions.iter().any(|action| matches!(action, Action::Exit { .. } | Action::EndServer { .. }));
        let mut ended = None;
        for action in actions {
            // The service has not ended while a monitor is waited for.
            if let (true, Action::Answer { id, answer }) = (ends && self.watch.is_ending(), &action) {
                self.held.push((*id, answer.clone()));
                continue;
            }
            if let Some(code) = self.act(action) {
                ended = Some(code);
            }
        }
        ended
    }

    fn act(&mut self, action: Action) -> Option<u8> {
        match action {
            Action::Beat(frame) => {
                self.net.beat(&frame);
                self.tell_of_unusable_paths();
            }
            Action::Send(letter) => self.net.send(&letter, &self.cluster),
            Action::AskPartition { ask } => {
                if let Some(asker) = &self.asker {
                    asker.ask(ask);
                }
            }
            Action::Search { server } => self.search.begin(server),
            Action::Resource { op, resource, work } => {
                let group = self.cluster.group_of(resource);
                let name = &self.loaded.configuration.resources[resource.index()].name;
                match work {
                    Work::Activate { .. } => self.record.say(&Alert::activation_begins(name)),
                    Work::Deactivate { .. } => self.record.say(&Alert::deactivation_begins(name)),
                    Work::Verify | Work::Detach => {}
                }
                self.took.begins(op, now());
                let around = work::Around { disk_ok: self.disk_is_usable(group), after_stop: self.cluster.after_stop() };
                self.work.begin(op, resource, work, around, self.cluster.plan());
            }
            Action::RunElsewhere { run, resource, start } => {
                self.work.run_elsewhere(run, resource, start, self.cluster.plan());
            }
            Action::Emergency { reason } => {
                self.record.note(format!("emergency action: {reason}"));
                self.work.emergency();
            }
            Action::Monitor { monitor, run } => {
                let config = &self.loaded.configuration.monitors[monitor.index()];
                if !run && matches!(config.kind, MonitorKind::Userw(_)) && self.rests(monitor) {
                    self.feed.veto(false);
                }
                let pid = self.work.pid_of(&config.common.target);
                self.record.say(&if run { Alert::monitor_begins(&config.name) } else { Alert::monitor_ends(&config.name) });
                let waited = matches!(&config.kind, MonitorKind::Genw(genw) if genw.stop_wait);
                self.watch.tell(crate::ipc::Watch { monitor: config.name.clone(), run, pid }, waited);
            }
            Action::Remember { suspended } => {
                if let Err(reason) = setup::remember_suspended(&self.loaded.root, suspended) {
                    self.record.say(&Alert::state_not_kept("whether the cluster is suspended", &reason));
                }
            }
            Action::KeepRatio { ratio } => self.keeper.keep(ratio),
            Action::TimeoutRatio { ratio } => self.watch.multiply(ratio),
            Action::MonitorScript { monitor, script, before, count } => self.scripts.run(monitor, script, &before, count),
            Action::FinalScript { resource, script, activation } => self.run_final_script(resource, script, activation),
            Action::RememberReboots { count } => self.remember_reboots(count),
            Action::EndServer { how, blame } => return Some(self.end_server(how, blame)),
            Action::Alert(alert) => {
                if let Fact::MonitorOrdered { monitor, order } = alert {
                    self.keep_order(monitor, order);
                }
                self.record.alert(alert, self.cluster.plan());
            }
            Action::Cause { group, text } => self.record.cause(&self.cluster.plan().group(group).name, &text),
            Action::Answer { id, answer } => self.answer(id, answer),
            Action::Exit { then, clean } => {
                self.feed.close(clean);
                if !clean {
                    // Something may still be active: what follows must not wait.
                    self.watch.wait_no_more();
                } else if then == AfterStop::Shutdown {
                    let with_all = self.cluster.stops_with_all();
                    self.record.say(&if with_all { Alert::all_shut_down() } else { Alert::server_shut_down() });
                }
                return Some(exit::code(then));
            }
        }
        None
    }

    /// CLP_DISK of scripts: are the group's disks all active here?
    fn disk_is_usable(&self, group: GroupId) -> bool {
        let plan = self.cluster.plan();
        plan.group(group).resources.iter().all(|id| {
            let disk = matches!(self.loaded.configuration.resources[id.index()].kind, clp_config::ResourceKind::Disk(_));
            !disk || self.cluster.local_resource(*id) == ResourceState::On
        })
    }

    fn me(&self) -> ServerId {
        self.net.me()
    }

    /// Wait for monitors that are to have stopped (parameters/waitstop), give answers and alerts that are still on their way
    /// a moment, then end.
    fn end(&mut self, code: u8, queue: &Receiver<Input>) -> u8 {
        self.await_monitors(queue);
        // Whoever is told that it stopped may ask at once whether it runs; its sockets take a moment to close.
        control::close(&self.loaded.root);
        for (id, answer) in std::mem::take(&mut self.held) {
            self.answer(id, answer);
        }
        self.record.say(&Alert::daemon_stopped(""));
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            let _ = waiting.reply.send(requests::stopped());
        }
        self.record.flush(Duration::from_secs(1));
        control::flush(Duration::from_millis(300));
        code
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    const INSIDE: &str = "MAINSTAY_PANICS";

    #[test]
    fn a_panic_of_any_thread_ends_the_engine() {
        if std::env::var_os(INSIDE).is_some() {
            super::abort_on_panic();
            let _ = std::thread::spawn(|| panic!("a mistake")).join();
            return;
        }
        let mut inside = Command::new(std::env::current_exe().expect("this program"));
        inside.args(["--exact", "engine::tests::a_panic_of_any_thread_ends_the_engine", "--nocapture"]).env(INSIDE, "1");
        let ended = inside.output().expect("this program again");
        assert_eq!(ended.status.signal(), Some(rustix::process::Signal::ABORT.as_raw()), "{ended:?}");
        assert!(String::from_utf8_lossy(&ended.stderr).contains("a mistake"), "{ended:?}");
    }
}
