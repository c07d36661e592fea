//! How a fan chooses seats from the map.

use encore_proto::catalog::v1::{ListSeatsResponse, Seat, SeatStatus};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Neighbours that are free and not kept for those who need them, as many as the party needs, anywhere in what is shown; none if
/// there are no such.
pub fn choose(map: &ListSeatsResponse, party: usize, rng: &mut impl Rng) -> Option<Vec<String>> {
    let rows = map.sections.iter().flat_map(|section| &section.rows);
    let blocks: Vec<&[Seat]> = rows.flat_map(|row| row.seats.windows(party)).filter(|block| is_free(block)).collect();
    let block = blocks.choose(rng)?;
    Some(block.iter().map(|seat| seat.seat_id.clone()).collect())
}

/// How many seats of what is shown are free.
pub fn free(map: &ListSeatsResponse) -> usize {
    let rows = map.sections.iter().flat_map(|section| &section.rows);
    rows.flat_map(|row| &row.seats).filter(|seat| seat.status() == SeatStatus::Free).count()
}

fn is_free(block: &[Seat]) -> bool {
    block.iter().all(|seat| seat.status() == SeatStatus::Free && !seat.accessible)
}

#[cfg(test)]
mod tests {
    use super::*;
    use encore_proto::catalog::v1::{RowSeats, SectionSeats};
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    fn map(rows: &[&str]) -> ListSeatsResponse {
        let status = |byte| if byte == b'.' { SeatStatus::Free } else { SeatStatus::Sold };
        let seat = |row: usize, (number, byte): (usize, u8)| Seat {
            seat_id: format!("{row}-{number}"),
            status: status(byte).into(),
            ..Default::default()
        };
        let row = |(row, text): (usize, &&str)| RowSeats {
            seats: text.bytes().enumerate().map(|place| seat(row, place)).collect(),
            ..Default::default()
        };
        let rows = rows.iter().enumerate().map(row).collect();
        ListSeatsResponse { sections: vec![SectionSeats { rows, ..Default::default() }], ..Default::default() }
    }

    #[test]
    fn a_party_sits_together_or_not_at_all() {
        let map = map(&["..x.", "x..x", ".x.x"]);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        for _ in 0..20 {
            let pair = choose(&map, 2, &mut rng).expect("two pairs are free");
            assert!([["0-0", "0-1"], ["1-1", "1-2"]].iter().any(|block| pair == *block), "{pair:?}");
        }
        assert_eq!(choose(&map, 3, &mut rng), None);
        assert_eq!(free(&map), 7);
    }
}
