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
    /// The ports with TLS; none if it has none.
    secured: Option<SecuredPorts>,
    server: Option<Daemon>,
}

/// What a broker needs to be reached by TLS. Everything is in PEM.
pub struct KafkaSecurity<'a> {
    /// The root by which its certificate is signed, and those of clients.
    pub root: &'a str,
    /// Its certificate, for `127.0.0.1`.
    pub certificate: &'a str,
    /// The private key of that.
    pub key: &'a str,
    /// The user who may log in, by PLAIN and by SCRAM.
    pub user: &'a str,
    /// The password of that user.
    pub password: &'a str,
}

struct SecuredPorts {
    /// Clients log in with a password.
    sasl: u16,
    /// Clients need a certificate.
    tls: u16,
}

impl KafkaServer {
    /// Whether this system has what it needs: Java and Maven.
    pub fn is_possible() -> bool {
        on_path("java").is_some() && on_path("mvn").is_some()
    }

    /// Starts it with its files in `folder`, and waits until it serves. Its program is kept in the folder `jars`, and downloaded when it
    /// is not there.
    pub fn start(folder: &Path, jars: &Path) -> Result<Self, Box<dyn Error>> {
        Self::begin(folder, jars, None)
    }

    /// Starts it like [`start`](Self::start), so that it can also be reached by TLS.
    pub fn start_secured(folder: &Path, jars: &Path, security: &KafkaSecurity<'_>) -> Result<Self, Box<dyn Error>> {
        Self::begin(folder, jars, Some(security))
    }

    fn begin(folder: &Path, jars: &Path, security: Option<&KafkaSecurity<'_>>) -> Result<Self, Box<dyn Error>> {
        fetch(jars)?;
        let (folder, jars) = (folder.to_owned(), jars.to_owned());
        let mut kafka = Self { folder, jars, port: free_port()?, secured: None, server: None };
        if security.is_some() {
            kafka.secured = Some(SecuredPorts { sasl: free_port()?, tls: free_port()? });
        }
        kafka.format(security)?;
        kafka.start_again()?;
        Ok(kafka)
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `host:port` with TLS, where clients log in with a password. Only of a broker with security.
    pub fn sasl_address(&self) -> Option<String> {
        self.secured.as_ref().map(|ports| format!("127.0.0.1:{}", ports.sasl))
    }

    /// `host:port` with TLS, where clients need a certificate. Only of a broker with security.
    pub fn tls_address(&self) -> Option<String> {
        self.secured.as_ref().map(|ports| format!("127.0.0.1:{}", ports.tls))
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
        let secured = self.secured.iter().flat_map(|ports| [ports.sasl, ports.tls]);
        let ports: Vec<u16> = std::iter::once(self.port).chain(secured).collect();
        let ready = move |_| ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok());
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
    fn format(&self, security: Option<&KafkaSecurity<'_>>) -> Result<(), Box<dyn Error>> {
        fs::create_dir_all(&self.folder)?;
        let (port, controller) = (self.port, free_port()?);
        let (listeners, settings) = match (&self.secured, security) {
            (Some(ports), Some(security)) => (ports.listeners(), self.secure(security)?),
            _ => (String::new(), String::new()),
        };
        let data = self.folder.join("data");
        let properties = format!(
            "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}{listeners}\ncontroller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n{settings}\
             log.dirs={}\noffsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
            data.display()
        );
        fs::write(self.properties(), properties)?;
        let mut format = self.java("kafka.tools.StorageTool");
        format.args(["format", "-t", CLUSTER_ID, "-c"]).arg(self.properties()).stdin(Stdio::null());
        if let Some(KafkaSecurity { user, password, .. }) = security {
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
                format.args(["--add-scram", &format!("{mechanism}=[name={user},password={password}]")]);
            }
        }
        let formatted = format.output()?;
        if formatted.status.success() {
            return Ok(());
        }
        Err(format!("the folder of Kafka cannot be formatted: {}", String::from_utf8_lossy(&formatted.stderr)).into())
    }
}

impl KafkaServer {
    /// Writes the certificates, and returns the settings that name them.
    fn secure(&self, security: &KafkaSecurity<'_>) -> io::Result<String> {
        let KafkaSecurity { root, certificate, key, user, password } = security;
        let (own, roots) = (self.folder.join("broker.pem"), self.folder.join("roots.pem"));
        fs::write(&own, format!("{key}\n{certificate}\n"))?;
        fs::write(&roots, root)?;
        let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
        let plain = "org.apache.kafka.common.security.plain.PlainLoginModule required";
        let of_listener = "listener.name.sasl_ssl";
        Ok(format!(
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL\n\
             ssl.keystore.type=PEM\nssl.keystore.location={}\nssl.truststore.type=PEM\nssl.truststore.location={}\n\
             listener.name.ssl.ssl.client.auth=required\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n\
             {of_listener}.plain.sasl.jaas.config={plain} user_{user}=\"{password}\";\n\
             {of_listener}.scram-sha-256.sasl.jaas.config={scram}\n\
             {of_listener}.scram-sha-512.sasl.jaas.config={scram}\n",
            own.display(),
            roots.display()
        ))
    }
}

impl SecuredPorts {
    fn listeners(&self) -> String {
        format!(",SASL_SSL://127.0.0.1:{},SSL://127.0.0.1:{}", self.sasl, self.tls)
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
