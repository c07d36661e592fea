//! TLS of the listener: who gets through, what is replaced while the server runs, and handshakes that do not end.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use encore_grpc::{ConnectionLimits, ListenerTls};
use encore_private_stores::certificates::{CertificateAuthority, IssuedCertificate};
use encore_proto::catalog::v1::ListConcertsRequest;
use encore_proto::catalog::v1::catalog_service_client::CatalogServiceClient;
use encore_server::listener_tls::{ReloadedTls, TlsFiles};
use encore_tests::http2::{PING, beginning, frame};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use crate::connections::{closed, encore, short};
use crate::quota::quota;

const NAME: &str = "encore.example";

/// A server and its clients in one process.
struct Server {
    dial: UnboundedSender<DuplexStream>,
    _stop: DropGuard,
}

impl Server {
    fn start(limits: ConnectionLimits, tls: ListenerTls) -> Self {
        let (dial, connections) = tokio::sync::mpsc::unbounded_channel();
        let (incoming, stop) = (UnboundedReceiverStream::new(connections), CancellationToken::new());
        let api = encore(limits).encrypting(tls).api;
        let serving = Box::pin(api.serve(incoming.map(Ok::<_, std::io::Error>), stop.clone()));
        tokio::spawn(async move { serving.await.expect("the server serves") });
        Self { dial, _stop: stop.drop_guard() }
    }

    fn connect(&self) -> DuplexStream {
        self.connect_with_room_for(64 * 1024)
    }

    /// A connection on which each side may be so many bytes ahead of the other.
    fn connect_with_room_for(&self, bytes: usize) -> DuplexStream {
        let (client, server) = tokio::io::duplex(bytes);
        self.dial.send(server).expect("a running server");
        client
    }

    async fn encrypted(&self, client: &ClientConfig) -> std::io::Result<TlsStream<DuplexStream>> {
        encrypt(client, self.connect()).await
    }
}

async fn encrypt(client: &ClientConfig, connection: DuplexStream) -> std::io::Result<TlsStream<DuplexStream>> {
    let name = ServerName::try_from(NAME).expect("a name");
    TlsConnector::from(Arc::new(client.clone())).connect(name, connection).await
}

async fn channel(stream: TlsStream<DuplexStream>) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: Uri| {
        let stream = stream.take().ok_or_else(|| std::io::Error::other("one connection"));
        async move { stream }
    });
    Endpoint::from_static("http://server").connect_with_connector(connector).await
}

async fn list(channel: &Channel) -> Result<(), Status> {
    CatalogServiceClient::new(channel.clone()).list_concerts(ListConcertsRequest::default()).await.map(drop)
}

/// The connection, once a call was answered on it; none if it ended before.
async fn answered(stream: TlsStream<DuplexStream>) -> Option<Channel> {
    let channel = channel(stream).await.ok()?;
    list(&channel).await.ok().map(|()| channel)
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::new().expect("keys")
}

fn issued_by(authority: &CertificateAuthority) -> IssuedCertificate {
    authority.issue(&[NAME]).expect("a certificate")
}

/// A client that trusts this authority, and shows a certificate or none.
fn client_of(authority: &CertificateAuthority, shown: Option<&IssuedCertificate>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(certificate(&authority.root())).expect("a root");
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let mut client = match shown {
        None => builder.with_no_client_auth(),
        Some(IssuedCertificate { certificate: shown, key }) => {
            let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
            builder.with_client_auth_cert(vec![certificate(shown)], key).expect("its own key")
        }
    };
    client.alpn_protocols = vec![b"h2".to_vec()];
    client
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

/// The files of a server in a folder of the test.
fn files(test: &str, issued: &IssuedCertificate, client_ca: Option<&CertificateAuthority>) -> TlsFiles {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&folder).expect("a folder");
    let write = |name, content: &str| -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, content).expect("a file");
        file
    };
    TlsFiles {
        certificate: write("tls.crt", &issued.certificate),
        key: write("tls.key", &issued.key),
        client_ca: client_ca.map(|authority| write("ca.crt", &authority.root())),
    }
}

fn opened(files: TlsFiles) -> ReloadedTls {
    ReloadedTls::open(files).expect("the files can be used")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_gets_through_if_it_trusts_the_authority_of_the_server() {
    let (right, wrong) = (authority(), authority());
    let server = Server::start(short(), opened(files("tls_trust", &issued_by(&right), None)).listener());
    let stream = server.encrypted(&client_of(&right, None)).await.expect("the right authority");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert!(answered(stream).await.is_some(), "it gets through");
    let refusal = server.encrypted(&client_of(&wrong, None)).await.expect_err("the wrong authority").to_string();
    assert!(refusal.contains("UnknownIssuer"), "{refusal}");
    let mut without_tls = server.connect();
    without_tls.write_all(&beginning(65_535)).await.expect("the buffer has room");
    closed(without_tls).await;
    let mut other_protocol = client_of(&right, None);
    other_protocol.alpn_protocols = vec![b"h3".to_vec()];
    assert!(server.encrypted(&other_protocol).await.is_err(), "no protocol in common");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_clients_need_a_certificate_only_one_of_their_authority_will_do() {
    let (of_server, of_clients) = (authority(), authority());
    let files = files("tls_clients", &issued_by(&of_server), Some(&of_clients));
    let server = Server::start(short(), opened(files).listener());
    let call = async |shown: Option<&IssuedCertificate>| {
        // By TLS 1.3 a client learns only afterwards that its certificate was refused.
        let stream = server.encrypted(&client_of(&of_server, shown)).await.expect("the server is trusted");
        answered(stream).await.is_some()
    };
    assert!(call(Some(&issued_by(&of_clients))).await, "the right authority");
    assert!(!call(None).await, "no certificate");
    assert!(!call(Some(&issued_by(&of_server))).await, "a certificate of another authority");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_certificate_is_shown_to_new_connections_and_ends_none() {
    let authority = authority();
    let (first, second) = (issued_by(&authority), issued_by(&authority));
    let mut tls = opened(files("tls_replaced", &first, None));
    let server = Server::start(short(), tls.listener());
    let client = client_of(&authority, None);
    let connect = async || {
        let stream = server.encrypted(&client).await.expect("the right authority");
        let shown = stream.get_ref().1.peer_certificates().expect("a certificate")[0].clone().into_owned();
        (answered(stream).await.expect("it gets through"), shown)
    };
    let (before, shown) = connect().await;
    assert_eq!(shown, certificate(&first.certificate));
    files("tls_replaced", &second, None);
    tls.reload();
    let (_after, shown) = connect().await;
    assert_eq!(shown, certificate(&second.certificate));
    list(&before).await.expect("the connection before goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_that_does_not_end_takes_a_place_until_it_is_closed_and_keeps_nobody_waiting() {
    let authority = authority();
    let client = client_of(&authority, None);
    let tls = opened(files("tls_hanging", &issued_by(&authority), None));
    // More than the calls below take.
    let handshake_timeout = Duration::from_secs(10);
    let server = Server::start(ConnectionLimits { connections_max: 3, handshake_timeout, ..short() }, tls.listener());
    let silent = server.connect();
    let mut half = server.connect();
    half.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252]).await.expect("the buffer has room");
    let ordinary = answered(server.encrypted(&client).await.expect("accepted meanwhile")).await;
    assert!(ordinary.is_some(), "there is a place");
    let beyond = channel(server.encrypted(&client).await.expect("for health")).await.expect("HTTP/2 begins");
    HealthClient::new(beyond.clone()).check(HealthCheckRequest::default()).await.expect("health is answered");
    assert_eq!(quota(&list(&beyond).await.expect_err("beyond the cap")), "connections");
    closed(silent).await;
    closed(half).await;
    let again = answered(server.encrypted(&client).await.expect("accepted")).await;
    assert!(again.is_some(), "there is a place again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_closed() {
    let authority = authority();
    let tls = opened(files("tls_stalled", &issued_by(&authority), None));
    let server = Server::start(short(), tls.listener());
    let connection = server.connect_with_room_for(1024);
    let mut client = encrypt(&client_of(&authority, None), connection).await.expect("the right authority");
    let ping = frame(PING, 0, 0, &[0; 8]);
    // The answers fill the connection, and not the buffer of TLS before it: all were written as far as HTTP/2 can see.
    client.write_all(&[beginning(65_535), ping.repeat(100)].concat()).await.expect("it is read");
    let until_closed = async {
        loop {
            client.write_all(&ping).await?;
            client.flush().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended: Result<std::io::Result<()>, _> = tokio::time::timeout(Duration::from_secs(15), until_closed).await;
    assert!(matches!(ended, Ok(Err(_))), "the connection stays open");
}
