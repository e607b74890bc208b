//! TLS on the way to a receiver: whom the exporter trusts, and who it says it is.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use obi::stages::exporter::Exporter;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use tokio_rustls::TlsAcceptor;

use super::grpc_sink::GrpcSink;
use super::http_sink::HttpSink;
use super::{assert_account, dev_null, eventually, in_a_while, numbered, start};

/// Somebody who signs certificates, and the files in which they are.
struct Authority {
    dir: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key).unwrap();
        std::fs::write(dir.path().join("ca.pem"), own.pem()).unwrap();
        Self { dir, issuer: Issuer::new(params, key) }
    }

    fn own(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for `name` and its key.
    fn sign(&self, name: &str) -> [PathBuf; 2] {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        let files = [format!("{name}.pem"), format!("{name}.key")].map(|f| self.dir.path().join(f));
        std::fs::write(&files[0], signed.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files
    }
}

/// TLS in front of a sink: the endpoint. Clients must have a certificate of `clients`, where given.
fn front(sink: &str, [certificate, key]: &[PathBuf; 2], clients: Option<&Path>) -> String {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(file).unwrap()).unwrap();
            let provider = Arc::new(ring::default_provider());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    let mut config = builder.with_single_cert(chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let behind = sink.strip_prefix("http://").unwrap().to_owned();
    std::thread::Builder::new()
        .spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(forward(listener, TlsAcceptor::from(Arc::new(config)), behind));
        })
        .unwrap();
    endpoint
}

async fn forward(listener: TcpListener, acceptor: TlsAcceptor, behind: String) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            // Who is not trusted, or does not trust, is gone here.
            let Ok(mut outer) = acceptor.accept(stream).await else { return };
            let mut inner = tokio::net::TcpStream::connect(behind).await.unwrap();
            // Either side may end it as it likes.
            drop(tokio::io::copy_bidirectional(&mut outer, &mut inner).await);
        });
    }
}

/// Sends three spans to `endpoint` and gives up soon.
fn send(endpoint: &str, protocol: &str, vars: &[(&str, &str)]) -> Exporter {
    let common = [
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT", "1ms"),
        ("OTEL_EBPF_BACKOFF_INITIAL_INTERVAL", "1ms"),
        ("OTEL_EBPF_BACKOFF_MAX_INTERVAL", "2ms"),
        ("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "20ms"),
    ];
    let exporter = start(&[&common[..], vars].concat(), dev_null());
    exporter.queue().push(numbered(0, 3));
    eventually("the account is settled", || exporter.stage().in_flight == 0);
    exporter
}

fn assert_taken(endpoint: &str, protocol: &str, vars: &[(&str, &str)]) {
    // The first connection may take longer than the exporter has patience for in these tests.
    let patient = [vars, &[("OTEL_EBPF_BACKOFF_MAX_ELAPSED_TIME", "20s")]].concat();
    assert_account(&send(endpoint, protocol, &patient).join(in_a_while()), 3, 3, &[]);
}

fn assert_not_sent(endpoint: &str, protocol: &str, vars: &[(&str, &str)]) {
    let stage = send(endpoint, protocol, vars).join(in_a_while());
    assert_account(&stage, 3, 0, &[("retries_exhausted", 3)]);
}

const CA: &str = "OTEL_EXPORTER_OTLP_CERTIFICATE";

/// Every case with a sink behind TLS that takes spans by `protocol`; it got `received` requests
/// in the end.
fn hold(protocol: &str, sink: &str, received: impl Fn() -> usize) {
    let (ours, other) = (Authority::new(), Authority::new());
    let named = ours.sign("127.0.0.1");
    let [ca, other_ca] = [ours.own(), other.own()];
    let [ca, other_ca] = [&ca, &other_ca].map(|path| path.to_str().unwrap());
    let endpoint = front(sink, &named, None);

    assert_taken(&endpoint, protocol, &[(CA, ca)]);
    assert_taken(
        &endpoint,
        protocol,
        &[("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", ca), (CA, other_ca)],
    );
    assert_taken(&endpoint, protocol, &[("OTEL_EBPF_INSECURE_SKIP_VERIFY", "true")]);
    assert_eq!(received(), 3);
    assert_not_sent(&endpoint, protocol, &[(CA, other_ca)]);

    let elsewhere = front(sink, &ours.sign("elsewhere.example"), None);
    assert_not_sent(&elsewhere, protocol, &[(CA, ca)]);

    let demanding = front(sink, &named, Some(&other.own()));
    let [own, own_key] = other.sign("agent");
    let [own, own_key] = [&own, &own_key].map(|path| path.to_str().unwrap());
    let client = |certificate, key| {
        [
            (CA, ca),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", certificate),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", key),
        ]
    };
    assert_taken(&demanding, protocol, &client(own, own_key));
    assert_not_sent(&demanding, protocol, &[(CA, ca)]);
    let [stranger, stranger_key] = ours.sign("stranger");
    let [stranger, stranger_key] = [&stranger, &stranger_key].map(|path| path.to_str().unwrap());
    assert_not_sent(&demanding, protocol, &client(stranger, stranger_key));
    assert_eq!(received(), 4, "nothing else arrived");
}

#[test]
fn spans_go_over_tls_to_whom_the_exporter_trusts_by_http() {
    let sink = HttpSink::start(vec![]);
    hold("http/protobuf", &sink.endpoint, || sink.received().len());
}

#[test]
fn spans_go_over_tls_to_whom_the_exporter_trusts_by_grpc() {
    let sink = GrpcSink::start(&[]);
    hold("grpc", &sink.endpoint, || sink.received().len());
}

#[test]
fn metrics_go_over_tls_with_what_is_set_for_them() {
    let ours = Authority::new();
    let sink = HttpSink::start(vec![]);
    let endpoint = front(&sink.endpoint, &ours.sign("127.0.0.1"), Some(&ours.own()));
    let [own, own_key] = ours.sign("agent");
    let ca = ours.own();
    let vars = [
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", endpoint.as_str()),
        ("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", ca.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", own.to_str().unwrap()),
        ("OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", own_key.to_str().unwrap()),
        ("OTEL_EBPF_METRICS_INTERVAL", "1h"),
    ];
    let exporter = start(&vars, dev_null());
    exporter.queue().push(numbered(0, 3));
    assert_account(&exporter.join(in_a_while()), 3, 3, &[]);
    assert_eq!(sink.received().len(), 1, "the last metrics, at the stop");
}
