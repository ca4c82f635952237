//! When balancers are told, and what.

use super::balancer::EngineCounts;
use super::coordinator::Coordinator;
use crate::time::SimTime;

const fn ms(milliseconds: u64) -> SimTime {
    SimTime::from_nanos(milliseconds * 1_000_000)
}

const fn waiting(num_waiting: u64) -> EngineCounts {
    EngineCounts { num_waiting, num_running: 0, kv_cache_usage: 0.0 }
}

#[test]
fn independent_ranks_are_told_of_every_tenth_of_a_second() {
    let mut coordinator = Coordinator::new(2, false);
    assert_eq!(coordinator.next_publish_time(), ms(5_000), "nothing changes");
    coordinator.report(ms(30), 1, waiting(3), None);
    assert_eq!(coordinator.next_publish_time(), ms(100), "something changed");
    assert_eq!(coordinator.publish(ms(100)), [waiting(0), waiting(3)], "all counts as they are");
    assert_eq!(coordinator.next_publish_time(), ms(5_100), "it was told");
    coordinator.report(ms(900), 0, waiting(1), None);
    assert_eq!(coordinator.next_publish_time(), ms(900), "the interval is long over");
}

#[test]
fn of_ranks_in_lockstep_whole_steps_are_told() {
    let mut coordinator = Coordinator::new(2, true);
    coordinator.report(ms(80), 0, waiting(4), Some((0, 0)));
    assert_eq!(coordinator.next_publish_time(), ms(130), "the other rank may still tell of this step");
    coordinator.report(ms(90), 1, waiting(2), Some((0, 0)));
    coordinator.report(ms(95), 0, waiting(9), Some((0, 1)));
    assert_eq!(coordinator.next_publish_time(), ms(100), "the step before is whole");
    assert_eq!(coordinator.publish(ms(100)), [waiting(4), waiting(2)], "counts of that step");
    assert_eq!(coordinator.next_publish_time(), ms(200), "what came since is still to be told");
    assert_eq!(coordinator.publish(ms(200)), [waiting(9), waiting(2)], "then all as they are");
}
