//! The answers of clpstat --whatif, as text and as JSON.

use clp_config::Configuration;
use clp_core::ids::ServerId;
use clp_protocol::control::Picture;
use clp_whatif::{Answer, Fate, Fault, To, World};
use serde_json::{Value, json};

use crate::declaration::Failure;
use crate::format::plain;

/// All that is shown.
pub struct View<'a> {
    /// In which they were asked.
    pub world: &'a World,
    /// The configuration.
    pub configuration: &'a Configuration,
    /// What the world goes on from.
    pub picture: &'a Picture,
    /// In the order of the questions.
    pub answers: &'a [Answer],
}

impl View<'_> {
    /// A line for each group to which something happens.
    pub fn text(&self) -> String {
        let mut rows: Vec<[String; 5]> = vec![["lost", "group", "was on", "then", "seconds"].map(String::from)];
        for answer in self.answers {
            let mark = if answer.asked || answer.unsettled { " *" } else { "" };
            let words = self.faults(answer);
            let downs: String = answer.downs.iter().map(|server| format!(" (then {} goes down)", self.server(*server))).collect();
            let lost = format!("{words}{mark}{downs}");
            let touched = |fate: &&Fate| !(matches!(fate.to, To::Stays(_) | To::Off) && fate.reason.is_empty());
            let fates: Vec<&Fate> = answer.fates.iter().filter(touched).collect();
            for fate in &fates {
                let seconds = fate.after.map_or("-".to_string(), |after| format!("{:.1}", after as f64 / 1e6));
                rows.push([lost.clone(), self.group(fate), self.from(fate), self.then(fate), seconds]);
            }
            if fates.is_empty() {
                let stays = answer.fates.iter().filter(|fate| matches!(fate.to, To::Stays(_))).count();
                let all = if stays == 0 { "no group runs".to_string() } else { format!("every group stays ({stays})") };
                rows.push([lost, "-".into(), "-".into(), all, "-".into()]);
            }
        }
        let width = |column: usize| rows.iter().map(|row| plain(&row[column]).chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..4).map(width).collect();
        let mut text = format!(
            "what would become of the groups, by what {} knows of the cluster at {}\n\n",
            self.picture.server, self.picture.time
        );
        for row in &rows {
            let cells = row[..3].iter().zip(&widths).map(|(cell, width)| format!("{:<width$}", plain(cell)));
            let [seconds, then] = [plain(&row[4]), plain(&row[3])];
            let line = format!("{}  {seconds:>7}  {then}", cells.collect::<Vec<_>>().join("  "));
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text.push('\n');
        for note in self.assumptions() {
            text.push_str(&format!("assumed: {}\n", plain(&note)));
        }
        for note in self.estimates() {
            text.push_str(&format!("note: {}\n", plain(&note)));
        }
        text
    }

    /// Everything, for programs.
    pub fn json(&self) -> Result<String, Failure> {
        let answers: Vec<Value> = self.answers.iter().map(|answer| self.answer(answer)).collect();
        let value = json!({
            "time": self.picture.time,
            "server": self.picture.server,
            "assumptions": self.assumptions(),
            "notes": self.estimates(),
            "answers": answers,
        });
        super::json(&value)
    }

    fn answer(&self, answer: &Answer) -> Value {
        let fault = |fault: &Fault| match fault {
            Fault::Server(server) => json!({ "kind": "server", "server": self.server(*server) }),
            Fault::Path(server, path) => json!({
                "kind": "path", "server": self.server(*server), "path": self.world.around().paths[*path].name }),
            Fault::Disk(server, disk) => json!({
                "kind": "disk", "server": self.server(*server), "disk": self.world.around().disks[*disk].name }),
        };
        let groups: Vec<Value> = answer.fates.iter().map(|fate| self.fate(fate)).collect();
        json!({
            "lost": answer.faults.iter().map(fault).collect::<Vec<_>>(),
            "assumed": answer.asked || answer.unsettled,
            "settled": !answer.unsettled,
            "down": answer.downs.iter().map(|server| self.server(*server)).collect::<Vec<_>>(),
            "groups": groups,
        })
    }

    fn fate(&self, fate: &Fate) -> Value {
        let (word, on) = match &fate.to {
            To::Stays(on) => ("stays", vec![*on]),
            To::Returns(on) => ("returns", vec![*on]),
            To::Goes(on) => ("goes", vec![*on]),
            To::Nowhere => ("nowhere", Vec::new()),
            To::Several(on) => ("several", on.clone()),
            To::Off => ("off", Vec::new()),
        };
        json!({
            "group": self.group(fate),
            "from": fate.from.map(|server| self.server(server)),
            "then": word,
            "on": on.iter().map(|server| self.server(*server)).collect::<Vec<_>>(),
            "seconds": fate.after.map(|after| after as f64 / 1e6),
            "reason": fate.reason,
        })
    }

    /// What is taken for granted and might be otherwise: with another truth a group might go elsewhere.
    fn assumptions(&self) -> Vec<String> {
        let mut notes = self.world.notes().to_vec();
        if self.answers.iter().any(|answer| answer.asked) {
            notes.push(
                "what is marked * holds while the targets of the partition resolution answer each server as at its last look, whatever is lost"
                    .into(),
            );
        }
        if self.answers.iter().any(|answer| answer.unsettled) {
            notes.push("after some losses that are marked * the cluster does not come to rest in the time that was looked at".into());
        }
        notes
    }

    /// What makes the seconds an estimate.
    fn estimates(&self) -> Vec<String> {
        let mut notes = vec!["a server that goes down stays down, and a lost disk answers with errors at once".to_string()];
        let unmeasured = self.world.around().times.iter().zip(&self.configuration.resources);
        let names: Vec<&str> =
            unmeasured.filter(|(times, _)| times.activate.is_none()).map(|(_, resource)| resource.name.as_str()).collect();
        if !names.is_empty() {
            let words = "resources that it has not activated since its start are taken to need 0.1 s";
            notes.push(format!("{} measured how long its own work takes; {words}: {}", self.picture.server, names.join(", ")));
        }
        notes
    }

    fn faults(&self, answer: &Answer) -> String {
        let word = |fault: &Fault| match fault {
            Fault::Server(server) => self.server(*server).to_string(),
            Fault::Path(server, path) => format!("{} of {}", self.world.around().paths[*path].name, self.server(*server)),
            Fault::Disk(server, disk) => format!("{} of {}", self.world.around().disks[*disk].name, self.server(*server)),
        };
        answer.faults.iter().map(word).collect::<Vec<_>>().join(" + ")
    }

    fn server(&self, server: ServerId) -> &str {
        self.world.plan().server(server)
    }

    fn group(&self, fate: &Fate) -> String {
        self.world.plan().group(fate.group).name.clone()
    }

    fn from(&self, fate: &Fate) -> String {
        fate.from.map_or("-", |server| self.server(server)).to_string()
    }

    fn then(&self, fate: &Fate) -> String {
        match &fate.to {
            To::Stays(on) if fate.reason.is_empty() => format!("stays on {}", self.server(*on)),
            To::Stays(on) => format!("stays on {}: {}", self.server(*on), fate.reason),
            To::Returns(on) => format!("returns to {}: {}", self.server(*on), fate.reason),
            To::Goes(on) => format!("goes to {}", self.server(*on)),
            To::Nowhere => format!("nowhere: {}", fate.reason),
            To::Several(on) => {
                let names: Vec<&str> = on.iter().map(|server| self.server(*server)).collect();
                format!("on {} at once", names.join(" and "))
            }
            To::Off => "off".into(),
        }
    }
}
