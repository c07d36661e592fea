use std::time::Duration;

use encore_domain::queue::{Pace, PaceSample, QueueRate, QueueSettings, SAMPLE_EVERY, SAMPLES_MAX};

use super::open_doors;
use crate::SpeedBench;
use crate::fixtures::{at_ms, at_secs, queue_settings, start};

pub async fn measures_how_fast_it_calls(bench: SpeedBench) {
    let queue = bench.queue(60).await;
    let performance = queue[0].performance;
    let rate = QueueRate { admissions: 2, period: Duration::from_secs(1) };
    let settings =
        QueueSettings { rate, batch: 1, max_active: 1_000, accept_window: Duration::from_hours(1), ..queue_settings() };
    assert_eq!(bench.snapshot(performance).await.pace, Pace::default());
    for ms in (0..=12_000).step_by(100) {
        bench.admit(&queue, &settings, at_ms(ms)).await;
    }
    let sample = |secs, called| PaceSample { at: at_secs(secs), called: vec![called, 0, 0], inside: called };
    let measured = Pace { samples: vec![sample(0, 1), sample(5, 11), sample(10, 21)], idle_at: None };
    assert_eq!(bench.snapshot(performance).await.pace, measured);

    let paused = QueueSettings { paused: true, ..settings.clone() };
    assert_eq!(bench.admit(&queue, &paused, at_secs(13)).await, 0);
    assert_eq!(bench.snapshot(performance).await.pace.idle_at, Some(at_secs(13)), "a paused queue calls nobody");
    let full = QueueSettings { max_active: 25, ..settings };
    assert_eq!(bench.admit(&queue, &full, at_secs(14)).await, 0);
    assert_eq!(bench.snapshot(performance).await.pace.idle_at, Some(at_secs(13)), "a full queue is not idle");
    assert_eq!(bench.admit(&queue, &open_doors(), at_secs(14)).await, 3);
    assert_eq!(bench.snapshot(performance).await.pace.idle_at, Some(at_secs(13)), "others wait");
    bench.admit(&queue, &open_doors(), at_secs(60)).await;
    assert_eq!(bench.snapshot(performance).await.pace.idle_at, Some(at_secs(60)), "nobody waits");

    for turn in 1..20 {
        bench.admit(&queue, &open_doors(), at_secs(60) + SAMPLE_EVERY * turn).await;
    }
    let samples = bench.snapshot(performance).await.pace.samples;
    assert_eq!((samples.len(), samples[12].at), (SAMPLES_MAX, start() + Duration::from_secs(60 + 19 * 5)));
}
