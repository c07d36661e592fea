//! Instances of this very program, each a process of its own, on a private Postgres and Redis.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use encore_private_stores::{DATABASE_URL, Lasting, REDIS_URL, Stores};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::stage::{OperatorLogin, StageError, StoreUrls};

/// How long an instance may take to serve: the first brings the schema up to date.
const START_PATIENCE: Duration = Duration::from_secs(30);
const START_POLL: Duration = Duration::from_millis(20);
/// Who runs the sale. The stores are thrown away afterwards, and nobody else reaches them.
const OPERATOR_EMAIL: &str = "operator@rehearsal.invalid";
const OPERATOR_PASSWORD: &str = "a rehearsal's own";
/// The signing key of these instances: `rehearsal, and nothing else, to sign` in base64.
const TOKEN_KEYS: &str = "rehearsal:cmVoZWFyc2FsLCBhbmQgbm90aGluZyBlbHNlLCB0byBzaWdu";
/// As long as the longest rehearsal.
const ACCESS_TOKEN_SECONDS: &str = "86400";
/// Runs a server and says its process id; ends it when whoever asked for it is gone, however they ended.
const GUARD: &str = r#"exec 3<&0; "$0" "$@" </dev/null & echo $!; read _ <&3; kill -KILL $!"#;

/// What to start.
#[derive(Clone, Debug)]
pub struct LocalPlan {
    /// How many instances.
    pub instances: usize,
    /// How many connections to Postgres each may have.
    pub pool_size: u32,
    /// Where their logs go.
    pub logs: PathBuf,
}

/// The running instances. They end when this is dropped, and the stores after them.
#[derive(Debug)]
pub struct LocalInstances {
    plan: LocalPlan,
    ports: Vec<u16>,
    stores: StoreUrls,
    processes: Mutex<Vec<Option<Process>>>,
    _keeper: KeptStores,
}

/// An instance and who watches over it.
#[derive(Debug)]
struct Process {
    guard: Child,
    /// The guard ends the instance when this is closed.
    _lifeline: ChildStdin,
    pid: u32,
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(self.pid);
        let _ = self.guard.kill();
        let _ = self.guard.wait();
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

impl LocalInstances {
    pub(super) async fn start(plan: LocalPlan) -> Result<(Self, OperatorLogin), StageError> {
        fs::create_dir_all(&plan.logs)?;
        let starting = tokio::task::spawn_blocking(|| {
            Stores::start_private(Lasting::ThisRun).map_err(|error| StageError::Stores(error.to_string()))
        });
        let stores = starting.await??;
        let url = |name: &str| stores.urls().iter().find(|(variable, _)| variable == name).map(|(_, url)| url.clone());
        let urls = StoreUrls { database: url(DATABASE_URL), redis: url(REDIS_URL), pool_size: plan.pool_size };
        let ports = (0..plan.instances).map(|_| free_port()).collect::<Result<Vec<u16>, _>>()?;
        let processes = Mutex::new((0..plan.instances).map(|_| None).collect());
        let instances = Self { plan, ports, stores: urls, processes, _keeper: KeptStores(Some(stores)) };
        instances.create_operator()?;
        for number in 0..instances.plan.instances {
            instances.run(number)?;
        }
        for number in 0..instances.plan.instances {
            instances.until_serving(number).await?;
        }
        let login = OperatorLogin { email: OPERATOR_EMAIL.to_owned(), password: OPERATOR_PASSWORD.to_owned() };
        Ok((instances, login))
    }

    /// Where the instances are.
    pub fn addresses(&self) -> Vec<String> {
        self.ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect()
    }

    /// The stores behind them.
    pub fn stores(&self) -> StoreUrls {
        self.stores.clone()
    }

    /// The process ids of the instances that run.
    pub fn pids(&self) -> Vec<u32> {
        self.lock().iter().flatten().map(|process| process.pid).collect()
    }

    /// Ends an instance as a power cut would.
    pub fn kill(&self, number: usize) {
        let process = self.lock()[number].take();
        drop(process);
    }

    /// Runs an instance again, and waits until it serves.
    pub async fn restart(&self, number: usize) -> Result<(), StageError> {
        self.run(number)?;
        self.until_serving(number).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Option<Process>>> {
        self.processes.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn create_operator(&self) -> Result<(), StageError> {
        let log = self.plan.logs.join("create-operator.log");
        let mut command = self.encore("create-operator")?;
        command.args(["--email", OPERATOR_EMAIL]).env("ENCORE_OPERATOR_PASSWORD", OPERATOR_PASSWORD);
        let output = File::create(&log)?;
        let status = command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output).status()?;
        if status.success() { Ok(()) } else { Err(StageError::CreateOperator { log: log.display().to_string() }) }
    }

    fn run(&self, number: usize) -> Result<(), StageError> {
        let program = std::env::current_exe()?;
        let mut guard = Command::new("sh");
        guard.args(["-c", GUARD]).arg(program).args(["serve", "--allow-rehearsals", "--log", "warn"]);
        self.surround(&mut guard);
        guard
            .env("ENCORE_LISTEN", format!("127.0.0.1:{}", self.ports[number]))
            .env("ENCORE_TOKEN_KEYS", TOKEN_KEYS)
            .env("ENCORE_ACCESS_TOKEN_SECONDS", ACCESS_TOKEN_SECONDS)
            .env("ENCORE_DATABASE_POOL", self.plan.pool_size.to_string());
        let log = File::options().create(true).append(true).open(self.log(number))?;
        let mut guard = own_group(&mut guard).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let (Some(lifeline), Some(output)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(std::io::Error::other("the guard of an instance has no pipes").into());
        };
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let pid = line.trim().parse().map_err(|_| std::io::Error::other("an instance has no process id"))?;
        self.lock()[number] = Some(Process { guard, _lifeline: lifeline, pid });
        Ok(())
    }

    async fn until_serving(&self, number: usize) -> Result<(), StageError> {
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.ports[number])).await.is_err() {
            if Instant::now() > deadline {
                return Err(StageError::Silent { number: number + 1, log: self.log(number).display().to_string() });
            }
            sleep(START_POLL).await;
        }
        Ok(())
    }

    fn log(&self, number: usize) -> PathBuf {
        self.plan.logs.join(format!("instance-{}.log", number + 1))
    }

    fn encore(&self, subcommand: &str) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(subcommand);
        self.surround(&mut command);
        Ok(command)
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

/// Ctrl-C is for the rehearsal, which then ends its instances itself.
fn own_group(command: &mut Command) -> &mut Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0)
}

fn kill(pid: u32) {
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
