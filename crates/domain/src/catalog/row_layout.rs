//! How seats stand in their rows: their order along a row, and the aisles that part it.

use crate::catalog::drawing::Point;

/// Two neighbours of a row this many times farther apart than its pitch have an aisle between them.
const AISLE_PITCHES: f64 = 1.6;
/// How many rows on either side of a row tell how far apart its seats should be. A row of two seats says nothing itself.
const ROWS_AROUND: usize = 3;
/// A row whose pitch differs from that of the rows around it by more than this factor has aisles, or seats that were drawn on top
/// of each other, and not a pitch of its own. Wheelchair spaces are drawn up to twice as wide as seats.
const PITCH_FACTOR_MAX: f64 = 2.0;
/// A path that is shorter by less than this share is the same path with other rounding.
const ROUNDING: f64 = 1e-9;

/// The order of the seats along their row, as indices: from left to right if the row is a line that the plan lists in another
/// order than from one end to the other, and the order of the plan otherwise. A row that is bent further, such as a horseshoe or
/// the seats around a table, has no left and right; neither have seats without coordinates.
pub fn order_along_row(seats: &[Point]) -> Vec<usize> {
    let listed: Vec<usize> = (0..seats.len()).collect();
    let axis = axis(seats);
    let along = |seat: usize| seats[seat].x * axis.x + seats[seat].y * axis.y;
    let across = |seat: usize| seats[seat].y * axis.x - seats[seat].x * axis.y;
    let mut sorted = listed.clone();
    sorted.sort_by(|a, b| along(*a).total_cmp(&along(*b)));
    let goes_along = |step: &[usize]| along(step[1]) - along(step[0]) >= (across(step[1]) - across(step[0])).abs();
    let is_shorter = path(seats, &sorted) < path(seats, &listed) * (1.0 - ROUNDING);
    if is_shorter && sorted.windows(2).all(goes_along) { sorted } else { listed }
}

/// The direction in which the seats are spread most, to the right; downwards if it is vertical.
fn axis(seats: &[Point]) -> Point {
    let middle = Point::centroid(seats.iter().copied());
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for seat in seats {
        let (x, y) = (seat.x - middle.x, seat.y - middle.y);
        (xx, xy, yy) = (xx + x * x, xy + x * y, yy + y * y);
    }
    // The principal axis of the covariance; the angle is between -90° and 90°.
    let angle = (2.0 * xy).atan2(xx - yy) / 2.0;
    Point { x: angle.cos(), y: angle.sin() }
}

fn path(seats: &[Point], order: &[usize]) -> f64 {
    order.windows(2).map(|step| seats[step[0]].distance(seats[step[1]])).sum()
}

/// For each seat of each row of a section, whether there is an aisle between it and the seat before it. The seats of a row are in
/// their order along it.
pub fn aisles(rows: &[Vec<Point>]) -> Vec<Vec<bool>> {
    let gaps: Vec<Vec<f64>> =
        rows.iter().map(|seats| seats.windows(2).map(|pair| pair[0].distance(pair[1])).collect()).collect();
    let row = |at: usize| {
        let pitch = pitch(&gaps, at);
        let first = (!rows[at].is_empty()).then_some(false);
        first.into_iter().chain(gaps[at].iter().map(|gap| *gap > pitch * AISLE_PITCHES)).collect()
    };
    (0..rows.len()).map(row).collect()
}

/// How far apart two neighbours of a row are: the median of its gaps. If the rows around have quite another pitch, it is theirs.
fn pitch(gaps: &[Vec<f64>], row: usize) -> f64 {
    let around = &gaps[row.saturating_sub(ROWS_AROUND)..gaps.len().min(row + ROWS_AROUND + 1)];
    let around = median(around.iter().flatten());
    match (median(gaps[row].iter()), around) {
        (Some(own), Some(around)) => {
            let is_usual = (around / PITCH_FACTOR_MAX..=around * PITCH_FACTOR_MAX).contains(&own);
            if is_usual { own } else { around }
        }
        (own, around) => own.or(around).unwrap_or(0.0),
    }
}

/// The median of the gaps between seats that are apart; of two in the middle the smaller, which is the less likely to be an aisle.
fn median<'g>(gaps: impl Iterator<Item = &'g f64>) -> Option<f64> {
    let mut gaps: Vec<f64> = gaps.copied().filter(|gap| *gap > 0.0).collect();
    gaps.sort_by(f64::total_cmp);
    gaps.get(gaps.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(xs: &[f64]) -> Vec<Point> {
        xs.iter().map(|x| Point { x: *x, y: 0.0 }).collect()
    }

    fn parted(rows: &[&[f64]]) -> Vec<Vec<bool>> {
        aisles(&rows.iter().map(|xs| line(xs)).collect::<Vec<_>>())
    }

    #[test]
    fn a_gap_much_wider_than_the_pitch_is_an_aisle() {
        assert_eq!(parted(&[&[0.0, 1.0, 2.0, 4.0, 5.0]]), [[false, false, false, true, false]]);
        assert_eq!(parted(&[&[0.0, 1.0, 2.5, 4.0, 5.0]]), [[false; 5]], "a wide seat is no aisle");
    }

    #[test]
    fn of_two_gaps_the_aisle_does_not_become_the_pitch() {
        assert_eq!(parted(&[&[0.0, 30.0, 300.0]]), [[false, false, true]]);
        assert_eq!(parted(&[&[0.0, 270.0, 300.0]]), [[false, true, false]]);
    }

    #[test]
    fn a_row_of_few_seats_has_the_pitch_of_the_rows_around_it() {
        let long = [0.0, 30.0, 60.0, 90.0, 120.0, 150.0];
        let parted = parted(&[&[0.0, 300.0], &long, &[0.0, 30.0], &[0.0], &[]]);
        let expected = [vec![false, true], vec![false; 6], vec![false; 2], vec![false], vec![]];
        assert_eq!(parted, expected);
    }

    #[test]
    fn wheelchair_spaces_of_twice_the_pitch_are_neighbours() {
        assert_eq!(parted(&[&[0.0, 60.0, 120.0], &[0.0, 30.0, 60.0, 90.0]])[0], [false; 3]);
    }

    #[test]
    fn seats_on_one_point_have_no_aisle_and_no_pitch() {
        assert_eq!(parted(&[&[3.0, 3.0, 3.0]]), [[false; 3]]);
        assert_eq!(parted(&[&[0.0, 0.0, 30.0, 60.0, 60.0]]), [[false; 5]]);
    }

    #[test]
    fn a_line_is_ordered_by_its_coordinates() {
        assert_eq!(order_along_row(&line(&[10.0, 4.0, 11.0, 9.0])), [1, 3, 0, 2]);
        let bent = [(0.0, 0.0), (2.0, 0.5), (1.0, 0.2), (3.0, 0.6)].map(|(x, y)| Point { x, y });
        assert_eq!(order_along_row(&bent), [0, 2, 1, 3]);
        let upright = [(5.0, 1.0), (5.0, 3.0), (5.0, 2.0)].map(|(x, y)| Point { x, y });
        assert_eq!(order_along_row(&upright), [0, 2, 1]);
    }

    #[test]
    fn the_order_of_the_plan_stays_where_it_goes_from_end_to_end() {
        assert_eq!(order_along_row(&line(&[0.1, 0.2, 0.3])), [0, 1, 2]);
        assert_eq!(order_along_row(&line(&[0.3, 0.2, 0.1])), [0, 1, 2], "from right to left");
        assert_eq!(order_along_row(&line(&[7.0, 7.0])), [0, 1], "without coordinates");
        assert_eq!(order_along_row(&[]), Vec::<usize>::new());
    }

    #[test]
    fn a_row_that_is_no_line_keeps_the_order_of_the_plan() {
        let horseshoe = [(0.0, 4.0), (0.0, 2.0), (1.0, 0.0), (3.0, 0.0), (4.0, 2.0), (4.0, 4.0)];
        assert_eq!(order_along_row(&horseshoe.map(|(x, y)| Point { x, y })), [0, 1, 2, 3, 4, 5]);
        let two_lines = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (0.0, 1.0), (1.0, 1.0), (2.0, 1.0)];
        assert_eq!(order_along_row(&two_lines.map(|(x, y)| Point { x, y })), [0, 1, 2, 3, 4, 5]);
    }
}
