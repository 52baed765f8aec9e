//! Carries out work on resources, each piece on its own thread, so that a hanging script or disk delays nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clp_alerts::Alert;
use clp_core::action::Work;
use clp_core::event::{Event, WorkError};
use clp_core::ids::{ResourceId, ServerId};
use clp_core::message::{Factor, Origin};
use clp_core::plan::{AfterStop, Plan};
use clp_drivers::resources::{Cause, Context, LastAction, Note, Notes, Outcome, ResourceDriver, ResourceError, Status, driver};

use super::Input;
use crate::setup::{self, Loaded};

/// How often a device that was not there at the start is looked for: it is made read-only when it comes.
const LATE_LOOK: Duration = Duration::from_secs(1);
/// Between two attempts to give up what could not be given up.
const GIVE_UP_PAUSE: Duration = Duration::from_secs(5);

/// What scripts are told of what is around their resource.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    /// The disks of the group are active here.
    pub disk_ok: bool,
    /// What becomes of this server when its service has stopped.
    pub after_stop: AfterStop,
}

/// What operators know of a resource already; each retry would say it again.
#[derive(Debug, Default)]
struct Told {
    doubled: bool,
}

struct Job {
    op: u64,
    resource: ResourceId,
    context: Context,
    work: Work,
}

enum Order {
    Job(Box<Job>),
    /// A script for a resource that is active on another server: number of the run, start or stop.
    Elsewhere(u64, ResourceId, Box<Context>, bool),
    Emergency,
    Aside(Box<dyn FnOnce(Sender<Input>) + Send>),
}

/// The threads that touch resources.
pub struct Workers {
    orders: Sender<Order>,
    loaded: Arc<Loaded>,
    me: ServerId,
    /// What is being done, by its number.
    open: BTreeMap<u64, Work>,
}

impl Workers {
    /// Start the dispatcher: an ordinary thread, so that what it starts does not inherit the loop's real-time priority.
    pub fn start(loaded: Arc<Loaded>, me: ServerId, inputs: Sender<Input>) -> Workers {
        let (orders, queue) = channel::<Order>();
        let server = loaded.configuration.servers[me.index()].name.clone();
        let drivers: Arc<Vec<Box<dyn ResourceDriver>>> =
            Arc::new(loaded.configuration.resources.iter().map(|resource| driver(resource, &server)).collect());
        // One piece of work at a time on one resource; an emergency does not wait for its turn.
        let busy: Arc<Vec<Mutex<Told>>> =
            Arc::new(loaded.configuration.resources.iter().map(|_| Mutex::new(Told::default())).collect());
        let emergency = loaded.clone();
        std::thread::spawn(move || {
            for order in queue {
                let inputs = inputs.clone();
                match order {
                    Order::Job(mut job) => {
                        let (drivers, busy) = (drivers.clone(), busy.clone());
                        let told = inputs.clone();
                        job.context.notes = Notes::to(move |note| {
                            let _ = told.send(Input::Say(noted(&note)));
                        });
                        std::thread::spawn(move || {
                            let (driver, busy) = (drivers[job.resource.index()].as_ref(), &busy[job.resource.index()]);
                            let mut told = busy.lock().unwrap_or_else(PoisonError::into_inner);
                            let (event, alert) = carry_out(driver, &job, &mut told);
                            drop(told);
                            if let Some(alert) = alert {
                                let _ = inputs.send(Input::Say(alert));
                            }
                            let _ = inputs.send(Input::Event(event));
                            if job.work == Work::Verify {
                                fence_late(driver, &job.context, busy);
                            }
                        });
                    }
                    Order::Elsewhere(run, resource, context, start) => {
                        let drivers = drivers.clone();
                        // Waits for nobody's turn: when the resource is activated here meanwhile, the driver ends it. Ends with the
                        // script, at the latest soon after its time limit.
                        std::thread::spawn(move || {
                            let result = drivers[resource.index()].elsewhere(&context, start).map_err(failure);
                            let _ = inputs.send(Input::Event(Event::RanElsewhere { run, result }));
                        });
                    }
                    Order::Aside(what) => {
                        std::thread::spawn(move || what(inputs));
                    }
                    Order::Emergency => {
                        let loaded = emergency.clone();
                        // Ends when nothing acts any more, at the latest with this process.
                        std::thread::spawn(move || {
                            while let Err(reason) = setup::give_up(&loaded) {
                                let _ = inputs.send(Input::Event(Event::EmergencyFailed { reason }));
                                std::thread::sleep(GIVE_UP_PAUSE);
                            }
                            let _ = inputs.send(Input::Event(Event::EmergencyDone));
                        });
                    }
                }
            }
        });
        Workers { orders, loaded, me, open: BTreeMap::new() }
    }

    /// Begin one piece of work; it ends as [`Event::ResourceDone`].
    pub fn begin(&mut self, op: u64, resource: ResourceId, work: Work, around: Around, plan: &Plan) {
        // Only these are told of when they end; a verification can end in another event, and would stay.
        if matches!(work, Work::Activate { .. } | Work::Deactivate { .. }) {
            self.open.insert(op, work);
        }
        let mut context = self.context(resource, plan);
        context.last_action = match around.after_stop {
            AfterStop::Nothing => LastAction::None,
            AfterStop::Shutdown => LastAction::Halt,
            // Who is ended at once comes back by itself.
            AfterStop::Reboot | AfterStop::SysrqPanic | AfterStop::KeepaliveReset | AfterStop::KeepalivePanic => {
                LastAction::Reboot
            }
        };
        // Before anything was verified nobody knows; its own note does.
        context.disk_ok = (work != Work::Verify).then_some(around.disk_ok);
        match work {
            Work::Activate { origin } => {
                context.after_failure = origin == Origin::Failure;
                context.owner_known = origin != Origin::Fresh;
            }
            Work::Deactivate { factor } => context.cause = Some(cause(factor)),
            Work::Verify | Work::Detach => {}
        }
        let _ = self.orders.send(Order::Job(Box::new(Job { op, resource, context, work })));
    }

    /// The work with this number has ended; which activation or deactivation it was.
    pub fn ended(&mut self, op: u64) -> Option<Work> {
        self.open.remove(&op)
    }

    /// Run what another server asked for; ends as [`Event::RanElsewhere`].
    pub fn run_elsewhere(&self, run: u64, resource: ResourceId, start: bool, plan: &Plan) {
        let context = Box::new(self.context(resource, plan));
        let _ = self.orders.send(Order::Elsewhere(run, resource, context, start));
    }

    fn context(&self, resource: ResourceId, plan: &Plan) -> Context {
        let group = plan.group(plan.resource(resource).group);
        let mut context = setup::context(&self.loaded, self.me.index(), &self.loaded.configuration.resources[resource.index()]);
        context.priority = group.policy.iter().position(|server| *server == self.me).map_or(0, |rank| rank + 1);
        context.home = group.policy.first() == Some(&self.me);
        context
    }

    /// Give up everything at once; ends as [`Event::EmergencyDone`].
    pub fn emergency(&self) {
        let _ = self.orders.send(Order::Emergency);
    }

    /// Do something else that may take its time, on a thread of its own without the loop's priority.
    pub fn aside(&self, what: impl FnOnce(Sender<Input>) + Send + 'static) {
        let _ = self.orders.send(Order::Aside(Box::new(what)));
    }

    /// Process id of the asynchronous start script of a resource, for the monitor that watches it.
    pub fn pid_of(&self, target: &str) -> Option<u32> {
        clp_drivers::resources::resident_pid(target)
    }
}

fn cause(factor: Factor) -> Cause {
    match factor {
        Factor::GroupStop => Cause::GroupStop,
        Factor::GroupMove => Cause::GroupMove,
        Factor::GroupFailover => Cause::GroupFailover,
        Factor::ResourceRestart => Cause::ResourceRestart,
        Factor::GroupRestart => Cause::GroupRestart,
        Factor::ClusterShutdown => Cause::ClusterShutdown,
        Factor::ServerShutdown => Cause::ServerShutdown,
    }
}

/// Do it, and tell the core what came of it; with an alert when a verification found something left over and took it off, or
/// when an address is in use elsewhere.
fn carry_out(driver: &dyn ResourceDriver, job: &Job, told: &mut Told) -> (Event, Option<Alert>) {
    let (op, resource) = (job.op, job.resource);
    if job.work == Work::Verify
        && let Status::Occupied(reason) = driver.status(&job.context)
    {
        return (Event::ResourceOccupied { op, resource, reason }, None);
    }
    let (result, alert) = match job.work {
        Work::Verify => verify(driver, job),
        _ => {
            let result = result_of(driver, job).map(drop);
            let doubled = result.as_ref().err().and_then(|error| error.doubled.as_ref());
            let is_news = !std::mem::replace(&mut told.doubled, doubled.is_some());
            let alert = doubled.filter(|_| is_news).map(|(address, by)| {
                Alert::address_doubled(
                    &address.to_string(),
                    &format!("by {by}, so {} is not activated here", job.context.resource),
                )
            });
            (result, alert)
        }
    };
    let result = result.map_err(failure);
    (Event::ResourceDone { op, resource, result }, alert)
}

fn result_of(driver: &dyn ResourceDriver, job: &Job) -> Result<Outcome, ResourceError> {
    let context = &job.context;
    match job.work {
        Work::Activate { .. } => driver.activate(context),
        Work::Deactivate { .. } => driver.deactivate(context),
        Work::Detach => driver.detach(context),
        // Off in order if possible, else given up.
        Work::Verify => driver.deactivate(context).or_else(|_| driver.emergency(context)),
    }
}

fn verify(driver: &dyn ResourceDriver, job: &Job) -> (Result<(), ResourceError>, Option<Alert>) {
    if let Err(error) = driver.fence_at_start(&job.context) {
        return (Err(error), None);
    }
    let before = match driver.status(&job.context) {
        Status::Offline => return (Ok(()), None),
        // Left over from an earlier life, or by hand since the look at who uses it.
        Status::Online => "active".to_string(),
        Status::Occupied(words) | Status::Unknown(words) => words,
    };
    match result_of(driver, job) {
        Ok(outcome) => {
            let took_off = outcome == Outcome::Changed;
            (
                Ok(()),
                took_off
                    .then(|| Alert::left_over(&job.context.resource, &format!("it was {before}, group {}", job.context.group))),
            )
        }
        Err(error) => (Err(error), None),
    }
}

/// What a driver tells, as operators read it.
fn noted(note: &Note) -> Alert {
    match note {
        Note::CheckBegins { program, device } => Alert::disk_check_begins(program, device),
        Note::CheckDone { program, device } => Alert::disk_check_done(program, device),
        Note::CheckFailed { program, device, code } => Alert::disk_check_failed(program, device, &code.to_string()),
        Note::CheckSlow { program, device, limit } => {
            Alert::disk_check_slow(program, device, &format!("after {} s", limit.as_secs()))
        }
    }
}

fn failure(error: ResourceError) -> WorkError {
    WorkError { code: error.code, reason: error.to_string() }
}

/// A device that comes later than the service is kept from being written to all the same, unless the group is active by then.
fn fence_late(driver: &dyn ResourceDriver, context: &Context, busy: &Mutex<Told>) {
    if driver.is_there() {
        return;
    }
    while !driver.is_there() {
        std::thread::sleep(LATE_LOOK);
    }
    let _turn = busy.lock();
    if let Err(error) = driver.fence_at_start(context) {
        setup::write_note(&context.root, &format!("{}: {error}", context.resource));
    }
}
