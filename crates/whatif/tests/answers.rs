//! What is answered about a few configurations, from a start and from a picture of it. That a real cluster does the same is shown end to end
//! (`testbed/cases/whatif.rs`).

use clp_config::{Configuration, Document};
use clp_core::configured::plan;
use clp_core::ids::{GroupId, ServerId, ServerSet};
use clp_whatif::{Answer, CannotAsk, Fault, Surroundings, To, World};

const ONE: ServerId = ServerId(0);
const TWO: ServerId = ServerId(1);
const THREE: ServerId = ServerId(2);

/// `servers` servers with two LANs, `groups` groups of one script each that begin at each server in turn, a shared disk where `disk`.
fn configuration(servers: usize, groups: usize, disk: bool, own: &str) -> Configuration {
    let mut text = String::from("<root><all><charset>ASCII</charset><serveros>linux</serveros><encode>ASCII</encode></all>");
    text += "<cluster><name>c</name><heartbeat><timeout>5000</timeout><interval>500</interval></heartbeat></cluster>";
    text += "<mainstay><cluster><bootwait>1</bootwait></cluster><networkpartition><none>1</none></networkpartition></mainstay>";
    for server in 1..=servers {
        text += &format!("<server name=\"server{server}\"><priority>{}</priority>", server - 1);
        for lan in 0..2 {
            text += &format!("<device id=\"{lan}\"><type>lan</type><info>10.{lan}.0.{server}</info></device>");
        }
        text += "</server>";
    }
    text += "<heartbeat><types name=\"lankhb\"/>";
    for lan in 0..2 {
        text += &format!("<lankhb name=\"lankhb{}\"><priority>{lan}</priority><device>{lan}</device></lankhb>", lan + 1);
    }
    text += "</heartbeat>";
    for group in 0..groups {
        text += &format!("<group name=\"g{group}\"><gid>{group}</gid>");
        for order in 0..servers {
            text += &format!("<policy name=\"server{}\"><order>{order}</order></policy>", (group + order) % servers + 1);
        }
        text += &format!("<resource name=\"exec@x{group}\"/>");
        if disk && group == 0 {
            text += "<resource name=\"disk@d0\"/>";
        }
        text += "</group>";
    }
    text += "<resource><types name=\"exec\"/><types name=\"disk\"/>";
    for group in 0..groups {
        text += &format!("<exec name=\"x{group}\"><parameters><act><path>start.sh</path></act></parameters></exec>");
    }
    if disk {
        text += "<disk name=\"d0\"><parameters><fs>ext4</fs><device>/dev/sdb2</device><mount><point>/mnt/a</point></mount></parameters></disk>";
    }
    text += &format!("</resource>{own}</root>");
    let document = Document::read(text.as_bytes()).expect("well-formed");
    Configuration::from_document(&document).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn started(configuration: &Configuration) -> World {
    let world = World::booted(plan(configuration), Surroundings::of(configuration));
    assert_eq!(world.notes(), [""; 0]);
    world
}

fn continued(configuration: &Configuration, world: &World, by: ServerId) -> World {
    let present = world.present(by).expect("it runs");
    World::continued(plan(configuration), Surroundings::of(configuration), &present).expect("a running cluster")
}

fn to(answer: &Answer, group: usize) -> To {
    answer.fates[group].to.clone()
}

#[test]
fn groups_begin_where_they_belong() {
    let world = started(&configuration(3, 3, false, ""));
    for (group, server) in [(0, ONE), (1, TWO), (2, THREE)] {
        assert_eq!(world.holders(GroupId(group)), [server]);
    }
}

#[test]
fn groups_of_a_lost_server_go_to_the_next_of_their_policy_after_the_time_out() {
    let configuration = configuration(3, 3, false, "");
    let world = started(&configuration);
    for world in [continued(&configuration, &world, ONE), continued(&configuration, &world, THREE)] {
        let answer = world.ask(&[Fault::Server(ONE)]);
        assert_eq!([to(&answer, 0), to(&answer, 1), to(&answer, 2)], [To::Goes(TWO), To::Stays(TWO), To::Stays(THREE)]);
        let after = answer.fates[0].after.expect("it came there");
        assert!((4_000_000..7_000_000).contains(&after), "{after}");
        assert!(answer.fates[0].reason.contains("server1 is gone"), "{}", answer.fates[0].reason);
        assert!(!answer.unsettled && answer.downs.is_empty());
        let answer = world.ask(&[Fault::Server(ONE), Fault::Server(TWO)]);
        assert_eq!([to(&answer, 0), to(&answer, 1), to(&answer, 2)], [To::Goes(THREE), To::Goes(THREE), To::Stays(THREE)]);
    }
}

#[test]
fn one_path_of_two_interrupts_nothing_and_both_are_an_isolation() {
    let configuration = configuration(2, 2, false, "");
    let world = continued(&configuration, &started(&configuration), TWO);
    let answer = world.ask(&[Fault::Path(ONE, 0)]);
    assert_eq!([to(&answer, 0), to(&answer, 1)], [To::Stays(ONE), To::Stays(TWO)]);
    // Without partition resolution each side takes the other as gone.
    let answer = world.ask(&[Fault::Path(ONE, 0), Fault::Path(ONE, 1)]);
    assert_eq!([to(&answer, 0), to(&answer, 1)], [To::Several(vec![ONE, TWO]), To::Several(vec![ONE, TWO])]);
}

const WATCHED: &str = "<monitor><types name=\"diskw\"/><diskw name=\"w\"><polling><interval>2</interval><timing>1</timing></polling>\
    <target>d0</target><relation><type>grp</type><name>g0</name></relation>\
    <emergency><threshold><restart>0</restart><fo>1</fo></threshold></emergency>\
    <parameters><object>/dev/sdb2</object></parameters></diskw></monitor>";

#[test]
fn a_lost_disk_moves_the_group_whose_monitor_finds_it_and_no_other() {
    let watched = configuration(2, 2, true, WATCHED);
    let world = continued(&watched, &started(&watched), ONE);
    let answer = world.ask(&[Fault::Disk(ONE, 0)]);
    assert_eq!([to(&answer, 0), to(&answer, 1)], [To::Goes(TWO), To::Stays(TWO)]);
    assert!((2_000_000..4_000_000).contains(&answer.fates[0].after.expect("online there")));
    assert!(answer.fates[0].reason.contains("monitor w"), "{}", answer.fates[0].reason);
    let answer = world.ask(&[Fault::Disk(ONE, 0), Fault::Disk(TWO, 0)]);
    assert_eq!(to(&answer, 0), To::Nowhere);
    assert!(answer.fates[0].reason.contains("d0: /dev/sdb is lost here"), "{}", answer.fates[0].reason);

    let unwatched = configuration(2, 2, true, "");
    let answer = continued(&unwatched, &started(&unwatched), ONE).ask(&[Fault::Disk(ONE, 0)]);
    assert_eq!(to(&answer, 0), To::Stays(ONE));
    assert_eq!(answer.fates[0].reason, "its /dev/sdb is lost there and no monitor looks at it");
}

#[test]
fn a_group_without_another_server_goes_nowhere_and_the_reason_is_told() {
    let configuration = configuration(2, 2, false, "");
    let mut plan = plan(&configuration);
    plan.groups[0].policy.truncate(1);
    plan.groups[1].failover_auto = false;
    let world = World::booted(plan, Surroundings::of(&configuration));
    let answer = world.ask(&[Fault::Server(ONE)]);
    assert_eq!(to(&answer, 0), To::Nowhere);
    assert!(answer.fates[0].reason.contains("no server can take it: server1 not online"), "{}", answer.fates[0].reason);
    let answer = world.ask(&[Fault::Server(TWO)]);
    assert_eq!(to(&answer, 1), To::Nowhere);
    assert!(answer.fates[1].reason.contains("its failover attribute is manual"), "{}", answer.fates[1].reason);
}

#[test]
fn a_picture_of_a_cluster_with_one_server_away_is_gone_on_from_without_it() {
    let configuration = configuration(3, 3, false, "");
    let mut world = started(&configuration);
    let answer = world.lost(&[Fault::Server(ONE)]);
    assert_eq!(to(&answer, 0), To::Goes(TWO));
    let world = continued(&configuration, &world, THREE);
    assert_eq!(world.running(), [TWO, THREE].into_iter().collect::<ServerSet>());
    let answer = world.ask(&[Fault::Server(TWO)]);
    assert_eq!([to(&answer, 0), to(&answer, 1), to(&answer, 2)], [To::Goes(THREE), To::Goes(THREE), To::Stays(THREE)]);
}

#[test]
fn a_picture_under_another_configuration_is_refused() {
    let configuration = configuration(3, 3, false, "");
    let present = started(&configuration).present(ONE).expect("it runs");
    let mut other = plan(&configuration);
    other.groups.pop();
    let refused = World::continued(other, Surroundings::of(&configuration), &present);
    assert_eq!(refused.err(), Some(CannotAsk::OtherConfiguration));
}
