use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::{Daemon, free_port};
use crate::programs::on_path;

/// The broker, with its dependencies, as Maven finds it.
const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>encore</groupId>
  <artifactId>private-kafka</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>4.1.0</version>
    </dependency>
  </dependencies>
</project>
"#;
/// The id of a cluster, which has one node. Any will do.
const CLUSTER_ID: &str = "RW5jb3JlLXByaXZhdGUtMQ";
/// Written when all jars are there.
const COMPLETE: &str = "complete";

/// A Kafka broker on the loopback. It is stopped when this is dropped.
pub struct KafkaServer {
    /// Its files. The log is beside the folder.
    folder: PathBuf,
    jars: PathBuf,
    port: u16,
    server: Option<Daemon>,
}

impl KafkaServer {
    /// Whether this system has what it needs: Java and Maven.
    pub fn is_possible() -> bool {
        on_path("java").is_some() && on_path("mvn").is_some()
    }

    /// Starts it with its files in `folder`, and waits until it serves. Its program is kept in the folder `jars`, and downloaded when it
    /// is not there.
    pub fn start(folder: &Path, jars: &Path) -> Result<Self, Box<dyn Error>> {
        fetch(jars)?;
        let mut kafka = Self { folder: folder.to_owned(), jars: jars.to_owned(), port: free_port()?, server: None };
        kafka.format()?;
        kafka.start_again()?;
        Ok(kafka)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills it with SIGKILL, as a failure of the machine would.
    pub fn kill(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill();
        }
    }

    /// Starts it after [`kill`](Self::kill), with its data.
    pub fn start_again(&mut self) -> Result<(), Box<dyn Error>> {
        let mut java = self.java("kafka.Kafka");
        java.arg(self.properties());
        let log = self.folder.with_extension("log");
        let port = self.port;
        let ready = move |_| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        self.server = Some(Daemon::start("kafka", &mut java, &log, ready)?);
        Ok(())
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        // A small heap, and the compiler that starts fast: the broker serves tests.
        java.args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
            .arg(self.jars.join("*"))
            .arg(class);
        java
    }

    /// Makes the folder of a new broker, which is its own controller.
    fn format(&self) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(&self.folder)?;
        let (port, controller) = (self.port, free_port()?);
        let data = self.folder.join("data");
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
             log.dirs={}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
            data.display()
        );
        fs::write(self.properties(), properties)?;
        let mut format = self.java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(self.properties()).stdin(Stdio::null());
        let formatted = format.output()?;
        if formatted.status.success() {
            return Ok(());
        }
        Err(format!("the folder of Kafka cannot be formatted: {}", String::from_utf8_lossy(&formatted.stderr)).into())
    }
}

/// Downloads the broker into a folder, unless it is there. Another process that does so is waited for.
fn fetch(jars: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(jars)?;
    let lock = File::create(jars.join("lock"))?;
    lock.lock()?;
    let complete = jars.join(COMPLETE);
    if complete.exists() {
        return Ok(());
    }
    let pom = jars.join("pom.xml");
    fs::write(&pom, POM)?;
    let mut maven = Command::new("mvn");
    maven.args(["--quiet", "--batch-mode", "--file"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg(format!("-DoutputDirectory={}", jars.display())).stdin(Stdio::null()).stdout(Stdio::null());
    let status = maven.status().map_err(|error| io::Error::other(format!("cannot run mvn: {error}")))?;
    if !status.success() {
        return Err("Maven did not download Kafka".into());
    }
    fs::write(complete, [])?;
    Ok(())
}
