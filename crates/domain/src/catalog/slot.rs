/// The index of a seat or unit in the state of its performances. The seats of a row have consecutive slots. One slot that is
/// no seat separates two rows, and the two sides of an aisle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);
