//! Asks the partition resolutions, off the loop: on demand when a server is in doubt, and periodically for showing. Each has its own
//! thread, so that one that hangs keeps no other from its answer, and takes one question after the other.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use clp_config::{EtcdTls, Partition, PartitionKind};
use clp_core::arbiter::{Answer, Ask};
use clp_core::event::Event;
use clp_core::ids::ServerId;
use clp_core::plan::Timing;
use clp_drivers::partition::etcd::Etcd;
use clp_drivers::partition::ping::Ping;
use clp_drivers::partition::tls::Files;
use clp_drivers::partition::witness::Witness;
use clp_drivers::partition::{Keeper, Method, Question, Reply};
use clp_protocol::witness::Key;

use super::Input;
use crate::setup::Loaded;

/// What the gathering thread is told.
enum Told {
    Ask(Ask),
    Look { index: usize, seen: (bool, String) },
    Reply { index: usize, number: u64, reply: Reply },
}

/// The thread that gathers answers.
pub struct Asker {
    told: Sender<Told>,
}

impl Asker {
    /// None when this server has nobody to ask.
    pub fn start(loaded: &Loaded, me: ServerId, timing: &Timing, trust: &[u8; 32], inputs: Sender<Input>) -> Option<Asker> {
        let configuration = &loaded.configuration;
        let server = &configuration.servers[me.index()];
        let (told, heard) = channel::<Told>();
        let begin = |(index, partition): (usize, &Partition)| {
            let (method, interval) = method(partition, loaded, me, timing, trust).filter(|_| server.resolves_by(partition))?;
            Some(Asked { questions: begin(index, method, interval, timing.arbiter, told.clone()), busy: false, seen: None })
        };
        let methods: Vec<Option<Asked>> = configuration.partitions.iter().enumerate().map(begin).collect();
        if methods.iter().all(Option::is_none) {
            return None;
        }
        let mut gatherer = Gatherer { methods, open: None, limit: timing.arbiter, inputs };
        std::thread::spawn(move || gatherer.run(&heard));
        Some(Asker { told })
    }

    /// Ask now; the answer arrives as [`Event::Verdict`].
    pub fn ask(&self, ask: Ask) {
        let _ = self.told.send(Told::Ask(ask));
    }
}

/// A method that this server uses.
struct Asked {
    questions: Sender<Question>,
    /// Its last question is not answered yet.
    busy: bool,
    /// Whether it could be asked at the last look, and in words.
    seen: Option<(bool, String)>,
}

/// The question whose answers are awaited.
struct Open {
    number: u64,
    until: Instant,
    /// By method; None: not yet, or not used.
    answers: Vec<Option<Answer>>,
    /// The greatest of a Yes.
    age: Duration,
    words: Vec<String>,
    missing: usize,
}

struct Gatherer {
    /// In the order of the configuration.
    methods: Vec<Option<Asked>>,
    open: Option<Open>,
    limit: Duration,
    inputs: Sender<Input>,
}

impl Gatherer {
    fn run(&mut self, heard: &Receiver<Told>) {
        loop {
            let until = self.open.as_ref().map(|open| open.until.saturating_duration_since(Instant::now()));
            let going = match until
                .map_or_else(|| heard.recv().map_err(|_| RecvTimeoutError::Disconnected), |left| heard.recv_timeout(left))
            {
                Ok(Told::Ask(ask)) => self.put(ask),
                Ok(Told::Look { index, seen }) => {
                    if let Some(method) = &mut self.methods[index] {
                        method.seen = Some(seen);
                    }
                    self.show()
                }
                Ok(Told::Reply { index, number, reply }) => self.take(index, number, reply),
                Err(RecvTimeoutError::Timeout) => self.close(),
                Err(RecvTimeoutError::Disconnected) => return,
            };
            if !going {
                return;
            }
        }
    }

    /// Hand a question to every method that is free.
    fn put(&mut self, ask: Ask) -> bool {
        if self.open.is_some() && !self.close() {
            return false;
        }
        let put = Instant::now();
        let question = Question { put, until: put + method_limit(self.limit), ask };
        let mut open = Open {
            number: question.ask.number,
            until: put + self.limit,
            answers: Vec::new(),
            age: Duration::ZERO,
            words: Vec::new(),
            missing: 0,
        };
        for method in &mut self.methods {
            let answer = match method {
                None => None,
                Some(method) if method.busy => {
                    open.words.push("an earlier question hangs".into());
                    Some(Answer::Wait)
                }
                Some(method) => {
                    method.busy = method.questions.send(question.clone()).is_ok();
                    open.missing += usize::from(method.busy);
                    None
                }
            };
            open.answers.push(answer);
        }
        let all = open.missing == 0;
        self.open = Some(open);
        !all || self.close()
    }

    fn take(&mut self, index: usize, number: u64, reply: Reply) -> bool {
        let Some(method) = &mut self.methods[index] else { return true };
        method.busy = false;
        method.seen = Some((reply.reachable, reply.words.clone()));
        let Some(open) = self.open.as_mut().filter(|open| open.number == number) else { return true };
        open.answers[index] = Some(reply.answer);
        if reply.answer == Answer::Yes {
            open.age = open.age.max(reply.age);
        }
        open.words.push(reply.words);
        open.missing -= 1;
        open.missing > 0 || self.close()
    }

    /// Answer the open question with what is known; who has not answered is waited for no longer.
    fn close(&mut self) -> bool {
        let Some(open) = self.open.take() else { return true };
        let mut words = open.words;
        let mut answers = open.answers;
        for (answer, method) in answers.iter_mut().zip(&self.methods) {
            if answer.is_none() && method.is_some() {
                words.push("no answer in time".into());
                *answer = Some(Answer::Wait);
            }
        }
        let event = Event::Verdict { ask: open.number, answers, age: open.age, reason: words.join("; ") };
        // While questions come there is no time for looks of their own; the answers show as well.
        self.show() && self.inputs.send(Input::Event(event)).is_ok()
    }

    fn show(&self) -> bool {
        let seen = self.methods.iter().map(|method| method.as_ref().and_then(|method| method.seen.clone())).collect();
        self.inputs.send(Input::PartitionSeen(seen)).is_ok()
    }
}

/// How long a method may take of the arbiter's bound: a miss that takes all of its time is to arrive as one, and in time.
fn method_limit(limit: Duration) -> Duration {
    limit - limit / 8
}

/// What asks this way, and how long it rests between two looks; None: nothing needs to be asked.
fn method(
    partition: &Partition,
    loaded: &Loaded,
    me: ServerId,
    timing: &Timing,
    trust: &[u8; 32],
) -> Option<(Box<dyn Method>, Duration)> {
    let configuration = &loaded.configuration;
    let servers = || configuration.servers.iter().map(|server| server.name.clone()).collect();
    match &partition.kind {
        PartitionKind::Pingnp(pingnp) => {
            let groups = pingnp.groups.iter().map(|group| group.iter().filter_map(|ip| ip.parse().ok()).collect()).collect();
            // All its tries, and no longer than the safety sum allows.
            let limit = (pingnp.timeout * pingnp.retry).min(method_limit(timing.arbiter));
            Some((Box::new(Ping { groups, limit }), pingnp.interval))
        }
        PartitionKind::Majonp => None,
        PartitionKind::Httpnp(witness) => {
            // The configuration's check found an address for every server that asks.
            let address = witness.address(&configuration.servers[me.index()], partition.device).ok()?;
            let key = Key::derive(trust, &configuration.cluster.name);
            let register = Witness::new(address, key, loaded.root.witnessed(&partition.name));
            Some((Box::new(Keeper::new(register, servers())), witness.interval))
        }
        PartitionKind::Etcdnp(etcd) => {
            let members = etcd.addresses(&configuration.servers[me.index()], partition.device).ok()?;
            let name = &configuration.cluster.name;
            let cluster = Key::derive(trust, name).id();
            let mut register = Etcd::new(&members, etcd.key(name), cluster, loaded.root.witnessed(&partition.name));
            if let Some(EtcdTls { authority, own }) = etcd.tls.clone() {
                register = register.with_tls(Files { authority, own });
            }
            Some((Box::new(Keeper::new(register, servers())), etcd.interval))
        }
    }
}

/// Start the thread of a method: it answers questions, and looks by itself when there was none for a while.
fn begin(index: usize, mut method: Box<dyn Method>, interval: Duration, limit: Duration, told: Sender<Told>) -> Sender<Question> {
    let (questions, asked) = channel::<Question>();
    std::thread::spawn(move || {
        let mut next_look = Instant::now();
        loop {
            let news = match asked.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(question) => Told::Reply { index, number: question.ask.number, reply: method.ask(&question) },
                Err(RecvTimeoutError::Timeout) => Told::Look { index, seen: method.look(Instant::now() + method_limit(limit)) },
                Err(RecvTimeoutError::Disconnected) => return,
            };
            next_look = Instant::now() + interval;
            if told.send(news).is_err() {
                return;
            }
        }
    });
    questions
}
