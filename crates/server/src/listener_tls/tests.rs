use std::path::Path;

use encore_private_stores::certificates::{CertificateAuthority, IssuedCertificate};

use super::*;

/// Files in a folder of their own, which goes with this.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("encore-tls-{test}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }

    fn write(&self, name: &str, content: &str) -> PathBuf {
        let file = self.0.join(name);
        fs::write(&file, content).expect("a file");
        file
    }

    fn files(&self, issued: &IssuedCertificate) -> TlsFiles {
        let (certificate, key) = (self.write("tls.crt", &issued.certificate), self.write("tls.key", &issued.key));
        TlsFiles { certificate, key, client_ca: None }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn authority() -> CertificateAuthority {
    CertificateAuthority::new().expect("keys")
}

#[test]
fn the_variable_of_the_wrong_file_is_named() {
    let (folder, authority) = (Folder::new("wrong"), authority());
    let (one, other) = (authority.issue(&["one"]).expect("issued"), authority.issue(&["other"]).expect("issued"));
    let files = folder.files(&one);
    assert_eq!(files.check(), Ok(()));
    let text = folder.write("text", "no PEM");
    let missing = Path::new("/nowhere").to_owned();
    for (files, variable) in [
        (TlsFiles { certificate: missing.clone(), ..files.clone() }, CERTIFICATE),
        (TlsFiles { certificate: text.clone(), ..files.clone() }, CERTIFICATE),
        (TlsFiles { certificate: files.key.clone(), ..files.clone() }, CERTIFICATE),
        (TlsFiles { key: missing.clone(), ..files.clone() }, KEY),
        (TlsFiles { key: text.clone(), ..files.clone() }, KEY),
        (TlsFiles { key: folder.write("other.key", &other.key), ..files.clone() }, KEY),
        (TlsFiles { client_ca: Some(missing), ..files.clone() }, CLIENT_CA),
        (TlsFiles { client_ca: Some(text), ..files.clone() }, CLIENT_CA),
    ] {
        let error = files.check().expect_err("a wrong file");
        assert_eq!(error.variable, variable, "{error}");
    }
    let with_clients = TlsFiles { client_ca: Some(folder.write("ca.crt", &authority.root())), ..files };
    assert_eq!(with_clients.check(), Ok(()));
}

#[test]
fn files_are_taken_when_all_of_them_fit() {
    let (folder, authority) = (Folder::new("reload"), authority());
    let issue = || authority.issue(&["one"]).expect("issued");
    let mut tls = ReloadedTls::open(folder.files(&issue())).expect("the files can be used");
    let settings = tls.settings.subscribe();
    let first = Arc::clone(&settings.borrow());
    tls.reload();
    assert!(Arc::ptr_eq(&first, &settings.borrow()), "nothing has changed");

    let next = issue();
    folder.write("tls.crt", &next.certificate);
    tls.reload();
    assert!(Arc::ptr_eq(&first, &settings.borrow()), "its key is not there yet");
    assert!(tls.failure.is_some());
    folder.write("tls.key", &next.key);
    tls.reload();
    assert!(!Arc::ptr_eq(&first, &settings.borrow()));
    assert_eq!(tls.failure, None);

    fs::remove_file(folder.0.join("tls.crt")).expect("it is there");
    let second = Arc::clone(&settings.borrow());
    tls.reload();
    assert!(Arc::ptr_eq(&second, &settings.borrow()), "what was read stays in use");
}
