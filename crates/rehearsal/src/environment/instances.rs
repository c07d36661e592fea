//! Instances of the server, each a process of its own: on a private Postgres and Redis, or one with embedded stores.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use encore_private_stores::{DATABASE_URL, Lasting, REDIS_URL, Stores, free_port};
use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::environment::{EnvironmentError, StoreUrls};
use crate::operator::OperatorLogin;
use crate::resources::{Usage, usage_of};

/// How long an instance may take to serve: the first brings the schema up to date.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);
/// How long it may take to say whether it serves.
const HEALTH_PATIENCE: Duration = Duration::from_secs(2);
/// How often an instance is run again that ends at once, as when somebody else has its port for a moment, and the pause before.
const RESTARTS_MAX: u32 = 5;
const RESTART_PAUSE: Duration = Duration::from_millis(300);
/// Who runs the sale on private stores. They are removed afterwards, and nobody else reaches them.
const OPERATOR: (&str, &str) = ("operator@rehearsal.invalid", "a rehearsal's own");
/// Who runs the sale on embedded stores: the operator of the demo catalogue, which a server without a database always has.
const DEMO_OPERATOR: (&str, &str) = ("operator@encore.test", "demo-operator");
/// The signing key of these instances: `rehearsal, and nothing else, to sign` in base64.
const TOKEN_KEYS: &str = "rehearsal:cmVoZWFyc2FsLCBhbmQgbm90aGluZyBlbHNlLCB0byBzaWdu";
/// The longest lifetime of an access token that a server takes.
const ACCESS_TOKEN_SECONDS_MAX: u64 = 86_400;
/// Runs a server and says its process id; ends it when its own standard input is closed, which it is at the latest when
/// whoever asked for it is gone, however they ended. `kill` is the shell's own, and its child keeps its id until it is
/// waited for. Only the server keeps the guard's output open, so that its end can be seen.
const GUARD: &str = r#"exec 3<&0
"$0" "$@" </dev/null 3<&- &
echo $!
exec >/dev/null
read _ <&3
kill -KILL $! 2>/dev/null
wait $!"#;

/// What to start.
#[derive(Clone, Debug)]
pub struct InstancesPlan {
    /// The server's program.
    pub program: PathBuf,
    /// Whether a private Postgres and Redis are started for them; otherwise there is one instance with embedded stores.
    pub on_stores: bool,
    /// How long access tokens are to be valid.
    pub access_token_lifetime: Duration,
    /// How many instances.
    pub instances: usize,
    /// How many connections to Postgres each may have.
    pub pool_size: u32,
    /// Whether cards are charged by the sandbox. Embedded stores always have it.
    pub sandbox: bool,
    /// Where their logs go.
    pub logs: PathBuf,
}

/// The running instances. They end when this is dropped, and the stores after them.
#[derive(Debug)]
pub struct Instances {
    plan: InstancesPlan,
    ports: Vec<u16>,
    stores: StoreUrls,
    processes: Mutex<Vec<Option<Process>>>,
    /// The processor time of those that were killed, in milliseconds.
    spent_ms: AtomicU64,
    _private_stores: KeptStores,
}

/// An instance and who watches over it.
#[derive(Debug)]
struct Process {
    guard: Child,
    /// The guard ends the instance when this is closed.
    lifeline: Option<ChildStdin>,
    pid: u32,
    /// Says when the instance has ended, whyever.
    ended: CancellationToken,
}

impl Process {
    fn start(guard: &mut Command, log: File) -> io::Result<Self> {
        let mut guard = own_group(guard).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let (Some(lifeline), Some(output)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(io::Error::other("the guard of an instance has no pipes"));
        };
        let mut process = Self { guard, lifeline: Some(lifeline), pid: 0, ended: CancellationToken::new() };
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        process.pid = line.trim().parse().map_err(|_| io::Error::other("an instance has no process id"))?;
        tell_when_ended(output, process.ended.clone())?;
        Ok(process)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.guard.wait();
    }
}

/// A program that is ended if nobody waits for its end any more.
struct Waited(Child);

impl Waited {
    async fn end(mut self) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(status);
            }
            sleep(START_POLL).await;
        }
    }
}

impl Drop for Waited {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The private stores, stopped with the last who uses them.
struct KeptStores(Option<Stores>);

impl std::fmt::Debug for KeptStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeptStores")
    }
}

impl Drop for KeptStores {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.take().map(Stores::stop) {
            eprintln!("rehearse: {error}");
        }
    }
}

impl Instances {
    /// Starts stores and instances. Whatever was started ends if this is dropped before.
    pub(super) async fn start(plan: InstancesPlan) -> Result<(Self, OperatorLogin), EnvironmentError> {
        fs::create_dir_all(&plan.logs)?;
        let private = if plan.on_stores { Some(private_stores().await?) } else { None };
        let url = |name: &str| {
            let urls = private.iter().flat_map(Stores::urls);
            urls.into_iter().find(|(variable, _)| variable == name).map(|(_, url)| url.clone())
        };
        let stores = StoreUrls { database: url(DATABASE_URL), redis: url(REDIS_URL), pool_size: plan.pool_size };
        let count = if plan.on_stores { plan.instances } else { 1 };
        let ports = (0..count).map(|_| free_port()).collect::<Result<Vec<u16>, _>>()?;
        let processes = Mutex::new((0..count).map(|_| None).collect());
        let spent_ms = AtomicU64::new(0);
        let (email, password) = if plan.on_stores { OPERATOR } else { DEMO_OPERATOR };
        let instances = Self { plan, ports, stores, processes, spent_ms, _private_stores: KeptStores(private) };
        if instances.plan.on_stores {
            instances.create_operator().await?;
        }
        for number in 0..count {
            instances.run(number)?;
        }
        for number in 0..count {
            instances.until_serving(number).await?;
        }
        Ok((instances, OperatorLogin { email: email.to_owned(), password: password.to_owned() }))
    }

    /// Where the instances are.
    pub fn addresses(&self) -> Vec<String> {
        (0..self.ports.len()).map(|number| self.address(number)).collect()
    }

    fn address(&self, number: usize) -> String {
        format!("http://127.0.0.1:{}", self.ports[number])
    }

    /// The stores behind them.
    pub fn stores(&self) -> StoreUrls {
        self.stores.clone()
    }

    /// The process ids of the instances that run.
    pub fn pids(&self) -> Vec<u32> {
        self.lock().iter().flatten().map(|process| process.pid).collect()
    }

    /// What all instances take and took, those that were killed included.
    pub fn usage(&self) -> Usage {
        let usage = usage_of(&self.pids());
        Usage { cpu_ms: usage.cpu_ms + self.spent_ms.load(Ordering::Relaxed), ..usage }
    }

    /// Ends an instance as a power cut would. It is gone when this returns.
    pub fn kill(&self, number: usize) {
        let Some(process) = self.lock()[number].take() else { return };
        self.spent_ms.fetch_add(usage_of(&[process.pid]).cpu_ms, Ordering::Relaxed);
    }

    /// Runs an instance again, and waits until it serves.
    pub async fn restart(&self, number: usize) -> Result<(), EnvironmentError> {
        let mut attempts = 0;
        loop {
            self.run(number)?;
            attempts += 1;
            match self.until_serving(number).await {
                Err(EnvironmentError::Ended { .. }) if attempts < RESTARTS_MAX => sleep(RESTART_PAUSE).await,
                outcome => return outcome,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Process>>> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn create_operator(&self) -> Result<(), EnvironmentError> {
        let log = self.plan.logs.join("create-operator.log");
        let mut command = self.encore("create-operator");
        command.args(["--email", OPERATOR.0]).env("ENCORE_OPERATOR_PASSWORD", OPERATOR.1);
        let output = File::create(&log)?;
        let running = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).spawn()?;
        let status = Waited(running).end().await?;
        if status.success() { Ok(()) } else { Err(EnvironmentError::CreateOperator { log: log.display().to_string() }) }
    }

    fn run(&self, number: usize) -> Result<(), EnvironmentError> {
        let mut guard = guarded(&self.plan.program);
        guard.args(["serve", "--allow-rehearsals", "--log", "warn"]);
        self.surround(&mut guard);
        let lifetime = self.plan.access_token_lifetime.as_secs().min(ACCESS_TOKEN_SECONDS_MAX);
        guard
            .env("ENCORE_LISTEN", format!("127.0.0.1:{}", self.ports[number]))
            .env("ENCORE_TOKEN_KEYS", TOKEN_KEYS)
            .env("ENCORE_ACCESS_TOKEN_SECONDS", lifetime.to_string())
            .env("ENCORE_DATABASE_POOL", self.plan.pool_size.to_string());
        if self.plan.sandbox {
            guard.env("ENCORE_PAYMENT_GATEWAY", "sandbox");
        }
        let log = File::options().create(true).append(true).open(self.log(number))?;
        let process = Process::start(&mut guard, log)?;
        let before = self.lock()[number].replace(process);
        drop(before);
        Ok(())
    }

    async fn until_serving(&self, number: usize) -> Result<(), EnvironmentError> {
        let log = self.log(number).display().to_string();
        let ended = self.lock()[number].as_ref().map(|process| process.ended.clone()).unwrap_or_default();
        let address = self.address(number);
        let serving = async {
            while !serves(&address).await {
                sleep(START_POLL).await;
            }
        };
        tokio::select! {
            biased;
            () = ended.cancelled() => Err(EnvironmentError::Ended { number: number + 1, log }),
            () = serving => Ok(()),
            () = sleep(START_PATIENCE) => Err(EnvironmentError::Silent { number: number + 1, log }),
        }
    }

    fn log(&self, number: usize) -> PathBuf {
        self.plan.logs.join(format!("instance-{}.log", number + 1))
    }

    fn encore(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.plan.program);
        command.arg(subcommand);
        self.surround(&mut command);
        command
    }

    /// Nothing of the caller's own `ENCORE_*` variables reaches an instance, but the private stores do.
    fn surround(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ENCORE_")) {
            command.env_remove(name);
        }
        command.envs(self.stores.database.iter().map(|url| (DATABASE_URL, url)));
        command.envs(self.stores.redis.iter().map(|url| (REDIS_URL, url)));
    }
}

/// A program under a guard; its arguments follow.
fn guarded(program: impl AsRef<OsStr>) -> Command {
    let mut guard = Command::new("sh");
    guard.args(["-c", GUARD]).arg(program);
    guard
}

/// Ctrl-C is for the rehearsal, which then ends its instances itself.
fn own_group(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}

/// On a thread of its own, which nobody waits for: a runtime that ends waits for those that it has lent out. If nobody takes
/// the stores they end on that thread.
async fn private_stores() -> Result<Stores, EnvironmentError> {
    let (tell, told) = oneshot::channel();
    thread::Builder::new().spawn(move || {
        let started = Stores::start_private(Lasting::ThisRun);
        let _ = tell.send(started.map_err(|error| EnvironmentError::Stores(error.to_string())));
    })?;
    told.await.unwrap_or_else(|_| Err(EnvironmentError::Stores("whoever starts them has ended".to_owned())))
}

/// Reads what an instance writes, which is nothing, until it has ended.
fn tell_when_ended(mut output: BufReader<ChildStdout>, ended: CancellationToken) -> io::Result<()> {
    thread::Builder::new().spawn(move || {
        let _ = io::copy(&mut output, &mut io::sink());
        ended.cancel();
    })?;
    Ok(())
}

/// Whether the server at an address says that it serves.
async fn serves(address: &str) -> bool {
    let Ok(endpoint) = Endpoint::from_shared(address.to_owned()) else { return false };
    let connecting = endpoint.connect_timeout(HEALTH_PATIENCE).timeout(HEALTH_PATIENCE).connect().await;
    let Ok(channel) = connecting else { return false };
    let health = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    health.is_ok_and(|health| health.into_inner().status() == ServingStatus::Serving)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(program: &str, args: &[&str]) -> Process {
        let log = File::options().write(true).open("/dev/null").expect("a place for what it says");
        Process::start(guarded(program).args(args), log).expect("a guard")
    }

    #[tokio::test]
    async fn a_guarded_program_is_gone_when_its_lifeline_is_closed() {
        let process = started("sleep", &["1000"]);
        assert!(!process.ended.is_cancelled());
        let ended = process.ended.clone();
        drop(process);
        ended.cancelled().await;
    }

    #[tokio::test]
    async fn a_program_that_ends_is_noticed() {
        started("true", &[]).ended.cancelled().await;
    }
}
