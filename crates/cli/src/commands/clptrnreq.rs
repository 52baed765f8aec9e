//! clptrnreq: ask servers of the cluster to run a script or to give up their groups.

use clp_services::request::Shelf;

use super::{configuration, failure, request, root};
use crate::declaration::{Absent, Command, Example, Failure, Form, HOSTS, Kind, Opt, Part, RESOURCE, Value, WAIT};
use crate::parse::Parsed;

const TYPE: Value = Value { word: "TYPE", kind: Kind::Choice(&["EXEC_SCRIPT", "GRP_FAILOVER"]) };
const SCRIPT: Value = Value { word: "SCRIPT", kind: Kind::Script(Shelf::Trnreq) };

/// Its declaration.
pub const COMMAND: Command = Command {
    name: "clptrnreq",
    summary: "ask servers of the cluster to run a script or to give up their groups",
    forms: &[
        Form {
            mode: "-t EXEC_SCRIPT",
            parts: &[Part::All(&["-h", "-s"]), Part::Any(&["-w"])],
            help: "run the script work/trnreq/SCRIPT of each server named, on that server",
        },
        Form {
            mode: "-t GRP_FAILOVER",
            parts: &[Part::All(&["-h"]), Part::Any(&["-r", "-w"])],
            help: "move the groups that are active on each server named to the next server of their failover policies",
        },
    ],
    options: &[
        Opt { name: "-t", also: &[], value: Some(TYPE), help: "what is asked for" },
        Opt { name: "-h", also: &[], value: Some(HOSTS), help: "the servers that are asked" },
        Opt { name: "-s", also: &[], value: Some(SCRIPT), help: "name of the script, without a directory" },
        Opt { name: "-r", also: &[], value: Some(RESOURCE), help: "only the group of this resource" },
        WAIT,
    ],
    absent: &[Absent { names: &["-p"], why: "the port is the one of the configuration" }],
    notes: SCRIPT_NOTES,
    examples: &[
        Example {
            line: "clptrnreq -t EXEC_SCRIPT -h server2 -s sync.sh -w 120",
            what: "run /opt/mainstay/work/trnreq/sync.sh on server2, two minutes at most",
        },
        Example { line: "clptrnreq -t GRP_FAILOVER -h server2 -r exec1", what: "move the group of exec1 away from server2" },
    ],
    run,
};

/// What one has to know of scripts that others ask for.
pub(super) const SCRIPT_NOTES: &[&str] = &[
    "A script is run without a shell and without arguments, at most 30 s or what -w says; then it is ended with all that it started. It has to be an ordinary file of root that nobody else can write, and so does its directory. Its output goes to log/script.log on its server, requests and results to the alert log there.",
    "Only servers of the same cluster are answered. The exit code is 0 when every server has done what was asked for.",
];

fn run(parsed: &Parsed) -> Result<(), Failure> {
    let root = root();
    if parsed.mode == "-t EXEC_SCRIPT" {
        return request::script(&root, parsed, Shelf::Trnreq, parsed.value("-s").unwrap_or_default());
    }
    let group = match parsed.value("-r") {
        None => None,
        Some(resource) => {
            let resources = configuration(&root)?.resources;
            let found = resources.iter().find(|one| one.name == resource).map(|one| one.group.clone());
            Some(found.ok_or_else(|| {
                let known = resources.iter().map(|one| one.name.clone()).collect();
                failure(&clp_protocol::control::Reply::Unknown { kind: "group resource".into(), name: resource.into(), known })
            })?)
        }
    };
    request::failover(&root, parsed, group.as_deref())
}
