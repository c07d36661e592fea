//! The switch with which an operator stops all sales at once.

use crate::ids::UserId;
use crate::payment::refund::OperatorReason;
use crate::time::Timestamp;

/// How the switch was set last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalesSwitch {
    /// Whether all sales are stopped.
    pub is_stopped: bool,
    /// Why. Fans who are refused see it.
    pub reason: OperatorReason,
    /// Who set it.
    pub by: UserId,
    /// When.
    pub at: Timestamp,
}
