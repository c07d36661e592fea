//! Priority classes of a queue.

use std::fmt;

use thiserror::Error;

use crate::ids::{PerformanceId, UserId};
use crate::time::Timestamp;

/// The most lanes of a queue. Every snapshot has a bitmap for each lane.
pub const LANES_MAX: usize = 8;
/// The greatest weight of a lane.
pub const LANE_WEIGHT_MAX: u32 = 1_000;
const NAME_MAX_CHARS: usize = 40;
const GENERAL: &str = "general";

/// The name of a lane, such as `fan-club`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaneName(String);

/// A text cannot be the name of a lane, or a number cannot be its weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotALane {
    /// The name.
    #[error("must be 1 to 40 characters of a-z, 0-9 and -")]
    Name,
    /// The weight.
    #[error("must be 1 to {LANE_WEIGHT_MAX}")]
    Weight,
}

impl LaneName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, NotALane> {
        let fits = (1..=NAME_MAX_CHARS).contains(&text.len());
        let of_names = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if fits && text.bytes().all(of_names) { Ok(Self(text.to_owned())) } else { Err(NotALane::Name) }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LaneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A priority class of a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Unique in the queue.
    pub name: LaneName,
    /// Its share of the admissions, relative to the weights of the other lanes in which fans wait.
    pub weight: u32,
}

impl Lane {
    /// Puts a name and a weight together.
    pub fn new(name: LaneName, weight: u32) -> Result<Self, NotALane> {
        if (1..=LANE_WEIGHT_MAX).contains(&weight) { Ok(Self { name, weight }) } else { Err(NotALane::Weight) }
    }
}

/// The lanes of a queue. The first is open to everybody; the others are open to fans with a grant of an operator. Queue tokens carry
/// the index of a lane, so the order of lanes never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes(Vec<Lane>);

/// These cannot be the lanes of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotLanes {
    /// None, or too many.
    #[error("must be 1 to {LANES_MAX} lanes")]
    Count,
    /// Two lanes have this name.
    #[error("must have different names: {0} is used twice")]
    Twice(LaneName),
}

impl Lanes {
    /// Reads lanes.
    pub fn new(lanes: Vec<Lane>) -> Result<Self, NotLanes> {
        if !(1..=LANES_MAX).contains(&lanes.len()) {
            return Err(NotLanes::Count);
        }
        for (index, lane) in lanes.iter().enumerate() {
            if lanes[..index].iter().any(|earlier| earlier.name == lane.name) {
                return Err(NotLanes::Twice(lane.name.clone()));
            }
        }
        Ok(Self(lanes))
    }

    /// The lanes, by index.
    pub fn as_slice(&self) -> &[Lane] {
        &self.0
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The index of a lane.
    pub fn find(&self, name: &LaneName) -> Option<u8> {
        self.0.iter().position(|lane| lane.name == *name).and_then(|index| u8::try_from(index).ok())
    }

    /// The weights, by index.
    pub fn weights(&self) -> Vec<u32> {
        self.0.iter().map(|lane| lane.weight).collect()
    }

    /// Whether these are the same lanes by name and order, whatever their weights.
    pub fn named_as(&self, other: &Self) -> bool {
        self.0.iter().map(|lane| &lane.name).eq(other.0.iter().map(|lane| &lane.name))
    }
}

impl Default for Lanes {
    /// One lane for everybody.
    fn default() -> Self {
        Self(vec![Lane { name: LaneName(GENERAL.to_owned()), weight: 1 }])
    }
}

/// The content of a lane grant: the fan may join the lane of the performance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LanePass {
    /// Whose queue.
    pub performance: PerformanceId,
    /// Who may join.
    pub user: UserId,
    /// Which lane.
    pub lane: LaneName,
    /// When the grant expires. A queue token that was taken with it stays.
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str, weight: u32) -> Lane {
        Lane::new(LaneName::parse(name).expect("a name"), weight).expect("a lane")
    }

    #[test]
    fn names_are_plain() {
        for name in ["", "Fan Club", "fan_club", "ä", &"x".repeat(41)] {
            assert_eq!(LaneName::parse(name), Err(NotALane::Name), "{name:?}");
        }
        assert!(LaneName::parse("fan-club-2").is_ok());
    }

    #[test]
    fn lanes_have_different_names_and_bounded_weights() {
        assert_eq!(Lanes::new(vec![]), Err(NotLanes::Count));
        assert_eq!(Lanes::new((0..9).map(|n| lane(&format!("l{n}"), 1)).collect()), Err(NotLanes::Count));
        let twice = Lanes::new(vec![lane("a", 1), lane("b", 1), lane("a", 2)]);
        assert_eq!(twice, Err(NotLanes::Twice(LaneName("a".into()))));
        for weight in [0, LANE_WEIGHT_MAX + 1] {
            assert_eq!(Lane::new(LaneName("a".into()), weight), Err(NotALane::Weight));
        }
    }

    #[test]
    fn lanes_are_found_by_name_and_do_not_move() {
        let lanes = Lanes::new(vec![lane("general", 1), lane("fan-club", 3)]).expect("lanes");
        assert_eq!(lanes.find(&LaneName("fan-club".into())), Some(1));
        assert_eq!(lanes.find(&LaneName("sponsors".into())), None);
        let heavier = Lanes::new(vec![lane("general", 2), lane("fan-club", 3)]).expect("lanes");
        let moved = Lanes::new(vec![lane("fan-club", 3), lane("general", 1)]).expect("lanes");
        assert!(lanes.named_as(&heavier) && !lanes.named_as(&moved) && !lanes.named_as(&Lanes::default()));
    }
}
