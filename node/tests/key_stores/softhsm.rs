//! SoftHSM for one test: a directory of its own, and a process of its own.
//!
//! SoftHSM reads where its objects are from the environment, once a process. A process cannot
//! safely change its own environment, so a test starts itself again, once for each of its phases,
//! in a process whose environment is right. Every phase sees what the earlier ones left behind.

use std::{
    env, fs,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use exequatur_federation::{jose::base64url, region::RegionId};
use exequatur_node::{
    clock::{Clock, SystemClock},
    entropy::{Entropy, SystemEntropy},
    hsm::pkcs11::{DEADLINE_DEFAULT, OpenError, Pkcs11Config, Pkcs11KeyStore, SESSIONS_DEFAULT},
};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const LAB: &str = "EXEQUATUR_TEST_SOFTHSM";
const PHASE: &str = "EXEQUATUR_TEST_SOFTHSM_PHASE";
pub(crate) const SLOT: &str = "eu-central";
const PIN: &str = "correct-pin";
const MISSING: &str = "SoftHSM is missing: install the package `softhsm2`";

/// One test's SoftHSM.
pub(crate) struct Lab {
    directory: PathBuf,
}

/// Declares a test of one or more phases, each `|lab| { .. }`.
macro_rules! softhsm_test {
    ($name:ident, $($phase:expr),+ $(,)?) => {
        #[test]
        fn $name() {
            let name = concat!(module_path!(), "::", stringify!($name));
            // The harness leaves the name of the program out.
            let (_, name) = name.split_once("::").unwrap();
            $crate::softhsm::run(name, &[$($phase),+]);
        }
    };
}
pub(crate) use softhsm_test;

/// Runs the phases in order, each in its own process; in such a process, runs its phase.
pub(crate) fn run(test: &str, phases: &[fn(&Lab)]) {
    if let (Some(directory), Some(phase)) = (env::var_os(LAB), env::var_os(PHASE)) {
        let phase: usize = phase.to_str().unwrap().parse().unwrap();
        phases.get(phase).unwrap()(&Lab { directory: directory.into() });
        return;
    }
    assert!(Path::new(MODULE).exists(), "{MISSING}");
    let directory = tempfile::tempdir().unwrap();
    let lab = Lab { directory: directory.path().to_owned() };
    fs::create_dir(lab.tokens()).unwrap();
    let configuration =
        format!("directories.tokendir = {}\nlog.level = ERROR\n", lab.tokens().display());
    fs::write(lab.configuration(), configuration).unwrap();
    lab.write_pin(PIN);
    lab.make_slot(SLOT);
    for phase in 0..phases.len() {
        let output = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env("SOFTHSM2_CONF", lab.configuration())
            .env(LAB, &lab.directory)
            .env(PHASE, phase.to_string())
            .output()
            .unwrap();
        let told = told(&output);
        assert!(output.status.success() && told.contains("1 passed"), "phase {phase}:\n{told}");
    }
}

impl Lab {
    /// Where SoftHSM keeps its objects.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// A path in the test's own directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn config(&self) -> Pkcs11Config {
        Pkcs11Config {
            region: RegionId::new("eu-central").unwrap(),
            module: MODULE.into(),
            slot: SLOT.to_owned(),
            pin_file: self.path("pin"),
            secrets_file: self.path("secrets.json"),
            sessions: SESSIONS_DEFAULT,
            // SoftHSM on a busy machine is slower than any HSM.
            deadline: DEADLINE_DEFAULT.max(Duration::from_secs(30)),
        }
    }

    pub(crate) fn open(&self) -> Pkcs11KeyStore {
        self.try_open(self.config()).unwrap()
    }

    pub(crate) fn try_open(&self, config: Pkcs11Config) -> Result<Pkcs11KeyStore, OpenError> {
        Pkcs11KeyStore::open(config, Self::entropy(), Self::clock())
    }

    pub(crate) fn entropy() -> Arc<dyn Entropy> {
        Arc::new(SystemEntropy::default())
    }

    pub(crate) fn clock() -> Arc<dyn Clock> {
        Arc::new(SystemClock::start())
    }

    /// Writes the PIN's file, readable by its owner only.
    pub(crate) fn write_pin(&self, pin: &str) {
        drop(fs::remove_file(self.path("pin")));
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(self.path("pin"));
        writeln!(file.as_mut().unwrap(), "{pin}").unwrap();
    }

    pub(crate) fn correct_pin(&self) {
        self.write_pin(PIN);
    }

    /// Makes one more slot of this label.
    pub(crate) fn make_slot(&self, label: &str) {
        self.softhsm2_util(&["--init-token", "--free", "--label", label, "--so-pin", "so-pin-1"]);
    }

    /// Puts a private key from outside into the slot, and its public half.
    pub(crate) fn import(&self, pkcs8: &[u8], label: &str, id: &[u8]) {
        let text = base64url(pkcs8).replace('-', "+").replace('_', "/");
        let padding = "=".repeat((4 - text.len() % 4) % 4);
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{text}{padding}\n-----END PRIVATE KEY-----\n");
        let path = self.path("imported.pem");
        fs::write(&path, pem).unwrap();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = path.to_str().unwrap();
        let names = ["--import", path, "--token", SLOT, "--label", label, "--id", &id, "--force"];
        self.softhsm2_util(&names);
    }

    /// Deletes every key of every slot, behind SoftHSM's back.
    pub(crate) fn delete_objects(&self) {
        let deleted = self.objects().into_iter().map(|path| fs::remove_file(path).unwrap()).count();
        assert!(deleted > 0);
    }

    /// The files of all objects.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let entries = |path: &Path| -> Vec<PathBuf> {
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
        };
        let is_object = |path: &PathBuf| {
            path.extension().is_some_and(|e| e == "object") && !path.ends_with("token.object")
        };
        let slots = entries(&self.tokens());
        slots.iter().flat_map(|slot| entries(slot)).filter(is_object).collect()
    }

    fn configuration(&self) -> PathBuf {
        self.path("softhsm2.conf")
    }

    fn softhsm2_util(&self, arguments: &[&str]) {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .args(["--pin", PIN])
            .env("SOFTHSM2_CONF", self.configuration())
            .output()
            .unwrap_or_else(|error| panic!("{MISSING} ({error})"));
        assert!(output.status.success(), "{}", told(&output));
    }
}

fn told(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}
