//! Carries out work on resources, each piece on its own thread, so that a hanging script or disk delays nobody.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use clp_alerts::Alert;
use clp_core::action::Work;
use clp_core::event::Event;
use clp_core::ids::{ResourceId, ServerId};
use clp_core::message::{Factor, Origin};
use clp_core::plan::Plan;
use clp_drivers::resources::{Cause, Context, Outcome, ResourceDriver, ResourceError, Status, driver};

use super::Input;
use crate::setup::{self, Loaded};

/// What scripts of a group were told at its start; they see the same at its stop.
#[derive(Debug, Clone, Copy, Default)]
struct Started {
    origin: Origin,
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
    Emergency,
    Aside(Box<dyn FnOnce(Sender<Input>) + Send>),
}

/// The threads that touch resources.
pub struct Workers {
    orders: Sender<Order>,
    loaded: Arc<Loaded>,
    me: ServerId,
    started: BTreeMap<String, Started>,
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
                    Order::Job(job) => {
                        let (drivers, busy) = (drivers.clone(), busy.clone());
                        std::thread::spawn(move || {
                            let mut told = busy[job.resource.index()].lock().unwrap_or_else(PoisonError::into_inner);
                            let (event, alert) = carry_out(drivers[job.resource.index()].as_ref(), &job, &mut told);
                            drop(told);
                            if let Some(alert) = alert {
                                let _ = inputs.send(Input::Say(alert));
                            }
                            let _ = inputs.send(Input::Event(event));
                        });
                    }
                    Order::Aside(what) => {
                        std::thread::spawn(move || what(inputs));
                    }
                    Order::Emergency => {
                        let loaded = emergency.clone();
                        std::thread::spawn(move || {
                            setup::give_up(&loaded);
                            let _ = inputs.send(Input::Event(Event::EmergencyDone));
                        });
                    }
                }
            }
        });
        Workers { orders, loaded, me, started: BTreeMap::new(), open: BTreeMap::new() }
    }

    /// Begin one piece of work; it ends as [`Event::ResourceDone`].
    pub fn begin(&mut self, op: u64, resource: ResourceId, work: Work, disk_ok: bool, plan: &Plan) {
        let config = &self.loaded.configuration.resources[resource.index()];
        if let Work::Activate { origin } = work {
            self.started.insert(config.group.clone(), Started { origin });
        }
        self.open.insert(op, work);
        let started = self.started.get(&config.group).copied().unwrap_or_default();
        let group = plan.group(plan.resource(resource).group);
        let mut context = setup::context(&self.loaded, self.me.index(), config);
        context.after_failure = started.origin == Origin::Failure;
        context.owner_known = started.origin != Origin::Fresh;
        context.disk_ok = disk_ok;
        context.priority = group.policy.iter().position(|server| *server == self.me).map_or(0, |rank| rank + 1);
        context.home = group.policy.first() == Some(&self.me);
        if let Work::Deactivate { factor } = work {
            context.cause = Some(cause(factor));
        }
        let _ = self.orders.send(Order::Job(Box::new(Job { op, resource, context, work })));
    }

    /// The work with this number has ended; which it was.
    pub fn ended(&mut self, op: u64) -> Option<Work> {
        self.open.remove(&op)
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
    let result = result.map_err(|error| error.to_string());
    (Event::ResourceDone { op, resource, result }, alert)
}

fn result_of(driver: &dyn ResourceDriver, job: &Job) -> Result<Outcome, ResourceError> {
    let context = &job.context;
    match job.work {
        Work::Activate { .. } => driver.activate(context),
        Work::Deactivate { .. } => driver.deactivate(context),
        Work::Detach => driver.emergency(context),
        // Off in order if possible, else detached.
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
