use async_trait::async_trait;
use encore_domain::alarm::Severity;
use encore_domain::error::Unavailable;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A clock that stands until it is moved.
struct SetClock(Mutex<Timestamp>);

impl SetClock {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::UNIX_EPOCH + Duration::from_hours(1_000))))
    }

    fn advance(&self, by: Duration) {
        *self.0.lock().expect("not poisoned") += by;
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("not poisoned")
    }
}

/// What was sent, in memory; or a store that does not answer.
struct Sent(Option<Mutex<HashMap<(String, String), Timestamp>>>);

#[async_trait]
impl SentAlarms for Sent {
    async fn claim(&self, name: &str, subject: &str, now: Timestamp, since: Timestamp) -> Result<bool, Unavailable> {
        let Some(sent) = &self.0 else { return Err(Unavailable::of("the store")) };
        let mut sent = sent.lock().expect("not poisoned");
        let alarm = (name.to_owned(), subject.to_owned());
        let is_new = sent.get(&alarm).is_none_or(|at| *at < since);
        sent.insert(alarm, now);
        Ok(is_new)
    }

    async fn forget(&self, _before: Timestamp) -> Result<u64, Unavailable> {
        Ok(0)
    }
}

/// A webhook that answers as it is asked to, and then with 200. It keeps the bodies.
struct Receiver {
    url: String,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    async fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/secret", listener.local_addr().expect("an address"));
        let taken: Arc<Mutex<Vec<String>>> = Arc::default();
        let bodies = Arc::clone(&taken);
        tokio::spawn(async move {
            let mut answers = answers.iter();
            loop {
                let (mut connection, _) = listener.accept().await.expect("a connection");
                let body = read(&mut connection).await;
                let status = answers.next().unwrap_or(&"200 OK\r\n");
                let answer = format!("HTTP/1.1 {status}content-length: 0\r\nconnection: close\r\n\r\n");
                bodies.lock().expect("not poisoned").push(body);
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        Self { url, taken }
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("not poisoned").clone()
    }

    async fn has_taken(&self, count: usize) -> Vec<String> {
        while self.taken().len() < count {
            sleep(Duration::from_millis(5)).await;
        }
        self.taken()
    }
}

/// The body of a request.
async fn read(connection: &mut tokio::net::TcpStream) -> String {
    let (mut text, mut block) = (String::new(), [0; 4096]);
    loop {
        let count = connection.read(&mut block).await.expect("a request");
        assert!(count > 0, "a whole request, and not {text:?}");
        text.push_str(&String::from_utf8_lossy(&block[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let head = head.to_ascii_lowercase();
        let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if lengths.next() == Some(body.len()) {
            return body.to_owned();
        }
    }
}

fn refund_failed(subject: &str) -> Alarm {
    Alarm {
        name: "refund_failed",
        severity: Severity::Critical,
        subject: subject.to_owned(),
        summary: "a refund failed & was credited".to_owned(),
        action: "Tell the fan.",
    }
}

fn notifier(receiver: &Receiver, sent: &Arc<Sent>, clock: &Arc<SetClock>) -> (Alarms, AlarmNotifier) {
    let webhook = AlarmWebhook::new(&receiver.url).expect("a webhook");
    let parts = AlarmNotifierParts { webhook, sent: Arc::clone(sent) as _, clock: Arc::clone(clock) as _ };
    let (alarms, notifier) = AlarmNotifier::new(parts);
    (alarms, AlarmNotifier { pause: Duration::ZERO, back_off: Duration::from_millis(1), ..notifier })
}

fn shared() -> Arc<Sent> {
    Arc::new(Sent(Some(Mutex::default())))
}

#[tokio::test]
async fn an_alarm_is_sent_once_an_hour_by_all_instances_together() {
    let (receiver, sent, clock) = (Receiver::start(&[]).await, shared(), SetClock::new());
    let stop = CancellationToken::new();
    let (sender, first) = notifier(&receiver, &sent, &clock);
    let (other, second) = notifier(&receiver, &sent, &clock);
    let running = [tokio::spawn(first.run(stop.clone())), tokio::spawn(second.run(stop.clone()))];
    sender.raise(refund_failed("payment=1"));
    receiver.has_taken(1).await;
    for sender in [&sender, &other] {
        sender.raise(refund_failed("payment=1"));
        sender.raise(refund_failed("payment=2"));
    }
    // The last of each instance is sent after all before it.
    sender.raise(refund_failed("payment=3"));
    other.raise(refund_failed("payment=4"));
    let mut taken = receiver.has_taken(4).await;
    taken.sort_unstable();
    assert_eq!(
        taken[0],
        r#"{"text":"[critical] refund_failed: a refund failed &amp; was credited\npayment=1\nTell the fan."}"#
    );
    for (body, payment) in taken.iter().zip(1..) {
        assert!(body.contains(&format!("payment={payment}\\n")), "{taken:#?}");
    }
    clock.advance(REPEAT_AFTER + Duration::from_secs(1));
    other.raise(refund_failed("payment=1"));
    assert_eq!(receiver.has_taken(5).await[4], taken[0]);
    stop.cancel();
    for running in running {
        running.await.expect("it ends");
    }
    assert_eq!(receiver.taken().len(), 5);
}

#[tokio::test]
async fn an_alarm_that_is_not_taken_is_tried_again_and_one_that_is_refused_is_not() {
    let answers = &["503 Away\r\n", "429 Slow\r\nretry-after: 0\r\n", "200 OK\r\n", "404 Gone\r\n"];
    let (receiver, clock) = (Receiver::start(answers).await, SetClock::new());
    let (sender, notifier) = notifier(&receiver, &shared(), &clock);
    let stop = CancellationToken::new();
    let running = tokio::spawn(notifier.run(stop.clone()));
    for subject in ["payment=1", "payment=2", "payment=3"] {
        sender.raise(refund_failed(subject));
    }
    let taken = receiver.has_taken(5).await;
    let tries: Vec<usize> = (1..=3)
        .map(|payment| taken.iter().filter(|body| body.contains(&format!("payment={payment}\\n"))).count())
        .collect();
    assert_eq!(tries, [3, 1, 1]);
    stop.cancel();
    running.await.expect("it ends");
}

#[tokio::test]
async fn a_webhook_says_when_it_takes_the_next() {
    let answers = &["429 Slow\r\nretry-after: 30\r\n", "429 Slow\r\nretry-after: 86400\r\n", "502 Away\r\n"];
    let receiver = Receiver::start(answers).await;
    let webhook = AlarmWebhook::new(&receiver.url).expect("a webhook");
    for (why, pause) in [("status 429", Some(30)), ("status 429", Some(300)), ("status 502", None)] {
        let posted = webhook.post(String::from("{}")).await;
        assert_eq!(posted, Posted::Later(why.to_owned(), pause.map(Duration::from_secs)));
    }
    assert_eq!(webhook.post(String::from("{}")).await, Posted::Taken);
}

#[tokio::test]
async fn without_the_store_each_instance_sends() {
    let (receiver, away, clock) = (Receiver::start(&[]).await, Arc::new(Sent(None)), SetClock::new());
    let stop = CancellationToken::new();
    for _ in 0..2 {
        let (sender, notifier) = notifier(&receiver, &away, &clock);
        sender.raise(refund_failed("payment=1"));
        sender.raise(refund_failed("payment=1"));
        tokio::spawn(notifier.run(stop.clone()));
    }
    receiver.has_taken(2).await;
    stop.cancel();
    assert_eq!(receiver.taken().len(), 2);
}

#[tokio::test]
async fn what_waits_is_tried_once_when_the_server_stops_and_the_queue_is_bounded() {
    let (receiver, clock) = (Receiver::start(&["500 No\r\n"]).await, SetClock::new());
    let (sender, notifier) = notifier(&receiver, &shared(), &clock);
    for number in 0..QUEUE + 10 {
        sender.raise(refund_failed(&format!("payment={number}")));
    }
    let stop = CancellationToken::new();
    stop.cancel();
    notifier.run(stop).await;
    assert_eq!(receiver.taken().len(), QUEUE, "one was not taken and not tried again; ten found no room");
}

#[tokio::test]
async fn an_alarm_that_is_raised_again_and_again_takes_no_room_from_others() {
    let (receiver, sent, clock) = (Receiver::start(&[]).await, shared(), SetClock::new());
    let (sender, notifier) = notifier(&receiver, &sent, &clock);
    for _ in 0..=QUEUE {
        sender.raise(refund_failed("payment=1"));
    }
    sender.raise(refund_failed("payment=2"));
    let stop = CancellationToken::new();
    let running = tokio::spawn(notifier.run(stop.clone()));
    let taken = receiver.has_taken(2).await;
    assert!(taken[1].contains("payment=2"), "{taken:?}");
    stop.cancel();
    running.await.expect("no panic");
}
