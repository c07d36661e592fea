//! Encodes searches for seats as arguments of a script.

use encore_domain::booking::best_available::{SeatOrder, SeatSearch, Stretch};

/// What is added to the distance of an accessible seat.
pub(crate) const ACCESSIBLE: u32 = 1 << 31;

/// Encodes the ways to split the seats into blocks, such as `4;2,2;3,1`.
pub(crate) fn ways(search: &SeatSearch) -> String {
    let sizes = |way: Vec<usize>| way.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    search.ways().into_iter().map(sizes).collect::<Vec<_>>().join(";")
}

/// Encodes the distance of each seat as 4 bytes, of which the highest bit says whether it is accessible.
pub(crate) fn packed_distances(order: &SeatOrder) -> Vec<u8> {
    let seat = |(distance, accessible): (&u32, &bool)| if *accessible { distance | ACCESSIBLE } else { *distance };
    order.distances.iter().zip(&order.accessible).map(seat).flat_map(u32::to_le_bytes).collect()
}

/// Encodes the stretches of a section as 12 bytes each.
pub(crate) fn packed(section: &[Stretch]) -> Vec<u8> {
    section.iter().flat_map(|it| [it.first.0, it.last.0, it.nearest]).flat_map(u32::to_le_bytes).collect()
}
