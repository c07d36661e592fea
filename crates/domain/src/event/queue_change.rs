use crate::queue::QueueSettings;

/// What changed of a queue. Each kind is an event of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueChange {
    /// Admission was paused.
    Paused,
    /// Admission goes on, or new fans may join again, or both.
    Resumed,
    /// New fans may not join any more.
    Drained,
    /// Another setting changed.
    Settings,
}

impl QueueChange {
    /// What changed from these settings to those.
    pub fn between(before: &QueueSettings, after: &QueueSettings) -> Vec<Self> {
        let is_paused = !before.paused && after.paused;
        let is_resumed = before.paused && !after.paused || before.draining && !after.draining;
        let is_drained = !before.draining && after.draining;
        let others = QueueSettings { paused: after.paused, draining: after.draining, ..before.clone() };
        let changes = [
            (Self::Paused, is_paused),
            (Self::Resumed, is_resumed),
            (Self::Drained, is_drained),
            (Self::Settings, others != *after),
        ];
        changes.into_iter().filter(|(_, is_made)| *is_made).map(|(change, _)| change).collect()
    }

    /// The kind of its event.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Paused => "queue.paused",
            Self::Resumed => "queue.resumed",
            Self::Drained => "queue.drained",
            Self::Settings => "queue.settings_changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_change_is_found_by_itself_and_with_others() {
        let settings = |paused, draining, batch| QueueSettings { batch, paused, draining, ..QueueSettings::default() };
        let open = settings(false, false, 1);
        let cases = [
            (open.clone(), vec![]),
            (settings(true, false, 1), vec![QueueChange::Paused]),
            (settings(false, true, 1), vec![QueueChange::Drained]),
            (settings(false, false, 2), vec![QueueChange::Settings]),
            (settings(true, true, 2), vec![QueueChange::Paused, QueueChange::Drained, QueueChange::Settings]),
        ];
        for (after, expected) in cases {
            assert_eq!(QueueChange::between(&open, &after), expected, "{after:?}");
        }
        for halted in [settings(true, false, 1), settings(false, true, 1), settings(true, true, 1)] {
            assert_eq!(QueueChange::between(&halted, &open), [QueueChange::Resumed], "{halted:?}");
        }
    }
}
