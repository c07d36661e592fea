use crate::ids::PerformanceId;
use crate::time::Timestamp;

/// The opening of a queue by the clock: fans may join from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueOpening {
    /// Whose queue.
    pub performance: PerformanceId,
    /// When fans could join: when the pre-queue opened, or the sale if there is none.
    pub opened_at: Timestamp,
    /// From when fans are called: when the sale opens.
    pub calls_from: Timestamp,
    /// When an instance noted it.
    pub at: Timestamp,
}
