//! The bytes of a state string, which has one per slot. The scripts contain the same letters.

use encore_domain::booking::seat_state::SeatStatus;

/// The status of each byte; none for the slots that are no seat, and for bytes that no script writes.
static STATUSES: [Option<SeatStatus>; 256] = {
    let mut statuses = [None; 256];
    statuses[b'a' as usize] = Some(SeatStatus::Free);
    statuses[b'h' as usize] = Some(SeatStatus::Held);
    statuses[b's' as usize] = Some(SeatStatus::Sold);
    statuses[b'b' as usize] = Some(SeatStatus::Blocked);
    statuses
};

/// The byte of a slot.
pub(crate) fn byte(status: Option<SeatStatus>) -> u8 {
    match status {
        Some(SeatStatus::Free) => b'a',
        Some(SeatStatus::Held) => b'h',
        Some(SeatStatus::Sold) => b's',
        Some(SeatStatus::Blocked) => b'b',
        None => b'_',
    }
}

/// The status of a slot with this byte.
pub(crate) fn status(byte: u8) -> Option<SeatStatus> {
    STATUSES[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_is_read_from_its_byte() {
        let statuses = [SeatStatus::Free, SeatStatus::Held, SeatStatus::Sold, SeatStatus::Blocked];
        for written in statuses.map(Some).into_iter().chain([None]) {
            assert_eq!(status(byte(written)), written);
        }
    }

    #[test]
    fn a_byte_that_no_script_writes_is_no_seat() {
        let read = (0..=u8::MAX).filter(|byte| status(*byte).is_some());
        assert_eq!(read.collect::<Vec<_>>(), b"abhs");
    }
}
