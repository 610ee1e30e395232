//! The directory of one node: its files, and the command line in it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    authority::{Authority, Certified},
    files::{self, REGIONS, RegionNames},
    status::Status,
};

/// Where one node lives. Its files stay when its process goes.
pub(crate) struct Site {
    directory: PathBuf,
    region: &'static RegionNames,
    address: String,
    id: Option<String>,
    identity: Option<String>,
    voter: bool,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Its standard output, if it succeeded.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }

    /// Its standard error, if it ended with this code.
    #[track_caller]
    pub(crate) fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        self.err
    }
}

/// How long a test waits that has asked a node too often.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Site {
    /// Writes the region file of a node that other nodes reach at `address`.
    pub(crate) fn new(
        directory: PathBuf,
        region: &'static RegionNames,
        address: String,
        (voter, issuer): (bool, &str),
    ) -> Self {
        fs::create_dir_all(directory.join("tls")).unwrap();
        fs::create_dir_all(directory.join("anchor")).unwrap();
        let file = files::region_file(region, &address, issuer);
        fs::write(directory.join("region.toml"), file).unwrap();
        Self { directory, region, address, id: None, identity: None, voter }
    }

    pub(crate) const fn region(&self) -> &'static RegionNames {
        self.region
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where clients reach it; only nodes without networks of their own.
    pub(crate) fn public(&self) -> String {
        files::public_address(&self.address)
    }

    pub(crate) const fn is_voter(&self) -> bool {
        self.voter
    }

    /// The node's id, once `init` has run.
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The region's identity key, once `init` has run.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Says in `federation.toml`, when it is next written, whether the node votes.
    pub(crate) const fn set_voter(&mut self, voter: bool) {
        self.voter = voter;
    }

    /// The ticket that `init` wrote.
    pub(crate) fn ticket(&self) -> String {
        self.path("cluster/node.ticket").display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs `exequatur init`, which draws a new id if the node has no directory.
    pub(crate) fn init(&mut self) {
        let said = self.exequatur(&["--output", "json", "init"]).done();
        let made: Value = serde_json::from_str(&said).unwrap();
        self.id = Some(text(&made["node"], "id"));
        self.identity = Some(text(&made["node"], "identity"));
    }

    /// Gives the node a certificate for its id.
    pub(crate) fn certify(&self, authority: &Authority) {
        let id = self.id().expect("`init` comes first");
        authority.certify(&Certified::node(self.region.name, id)).write(&self.directory);
    }

    /// Writes this site's copy of `federation.toml`.
    pub(crate) fn write_federation(&self, text: &str) {
        super::authority::write_whole(&self.path("federation.toml"), text);
    }

    /// Writes this site's copies of the authorities.
    pub(crate) fn write_authorities(&self, bundles: &[String]) {
        for (region, bundle) in REGIONS.iter().zip(bundles) {
            let file = self.path("tls").join(format!("{}-ca.pem", region.name));
            super::authority::write_whole(&file, bundle);
        }
    }

    /// The program with this site's files. The files come behind the verbs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_exequatur"));
        command.args(arguments).args(self.files()).current_dir(&self.directory);
        command.stdin(Stdio::null());
        command
    }

    /// The arguments that name this site's files.
    pub(crate) fn files(&self) -> [String; 4] {
        let file = |name| self.path(name).display().to_string();
        [
            "--config".to_owned(),
            file("region.toml"),
            "--federation".to_owned(),
            file("federation.toml"),
        ]
    }

    /// Runs the program to its end.
    ///
    /// An operator may ask five times a second, and a test asks oftener: it waits as it is told to.
    pub(crate) fn exequatur(&self, arguments: &[&str]) -> Said {
        loop {
            let said = Said::of(self.command(arguments).output().unwrap());
            if !said.err.contains("too many requests") {
                return said;
            }
            std::thread::park_timeout(ASK_AGAIN);
        }
    }

    /// `exequatur cluster status`, if the node answers. A federation that is degraded has a status,
    /// too.
    pub(crate) fn status(&self) -> Option<Status> {
        let said = self.exequatur(&["--output", "json", "cluster", "status"]);
        matches!(said.code, Some(0 | 4)).then(|| Status::read(&said.out))
    }

    /// Moves the node's directory and its anchor away, as the way out of a refusal says.
    pub(crate) fn move_away(&mut self) {
        for name in ["cluster", "anchor"] {
            let gone = self.path(&format!("{name}.gone"));
            if gone.exists() {
                fs::remove_dir_all(&gone).unwrap();
            }
            match fs::rename(self.path(name), gone) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{name}: {error}"),
                _ => {}
            }
        }
        fs::create_dir(self.path("anchor")).unwrap();
        self.id = None;
    }

    /// Where the snapshots lie, as seen from outside of the process `pid`, which may have a file
    /// system of its own there.
    pub(crate) fn snapshots(&self, pid: Option<i32>) -> PathBuf {
        let here = self.path("cluster").join("snapshots");
        match pid {
            Some(pid) => {
                Path::new(&format!("/proc/{pid}/root")).join(here.strip_prefix("/").unwrap())
            }
            None => here,
        }
    }
}

/// A copy of a directory with everything in it.
pub(crate) fn copy_directory(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-a", "--"]).arg(from).arg(to).output().unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
}

fn text(object: &Value, member: &str) -> String {
    let found = object.get(member).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no `{member}` in {object}")).to_owned()
}
