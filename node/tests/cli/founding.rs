//! `init` and `cluster`: three regions found a federation by the documented steps, and what a node
//! whose directory or anchor is not what it was is told.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::Answer;
use crate::exequatur;

const NAMES: [&str; 3] = ["eu-central", "us-east", "ap-southeast"];

/// Three regions, each with a directory of its own and a copy of federation.toml.
pub(crate) struct Federation {
    place: tempfile::TempDir,
    name: String,
    /// What `init` printed for each region's table.
    lines: [String; 3],
}

impl Federation {
    pub(crate) fn new() -> Self {
        Self::named("test")
    }

    /// Every region's files are there, and nothing is made.
    pub(crate) fn named(name: &str) -> Self {
        let federation = Self {
            place: tempfile::tempdir().unwrap(),
            name: name.to_owned(),
            lines: [const { String::new() }; 3],
        };
        for (region, name) in NAMES.iter().enumerate() {
            let directory = federation.place.path().join(name);
            fs::create_dir(&directory).unwrap();
            fs::write(directory.join("region.toml"), region_file(region)).unwrap();
        }
        federation.distribute("");
        federation
    }

    /// `init` has run in every region, and every copy of federation.toml has what it printed.
    pub(crate) fn initialised(name: &str) -> Self {
        let mut federation = Self::named(name);
        for region in 0..3 {
            let made = federation.run(region, &["init", "--output", "json"]).json();
            federation.lines[region] = lacking(&made);
        }
        federation.distribute("");
        federation
    }

    /// Gives every region the same federation.toml; `more` is added to the last region's table.
    pub(crate) fn distribute(&self, more: &str) {
        let mut text = format!("[federation]\nname = \"{}\"\n", self.name);
        for (index, (name, lines)) in NAMES.iter().zip(&self.lines).enumerate() {
            let number = index + 1;
            text += &format!(
                "\n[[region]]\nnumber = {number}\nname = \"{name}\"\njurisdiction = \"EU\"\n\
                 issuer = \"https://{name}.id.example\"\n{lines}\n"
            );
        }
        text += more;
        text += "\n[[upstream]]\nname = \"global\"\naudience = [\"https://exequatur.example\"]\n\
                 home_region = { fixed = \"eu-central\" }\n";
        for name in NAMES {
            fs::write(self.place.path().join(name).join("federation.toml"), &text).unwrap();
        }
    }

    pub(crate) fn path(&self, region: usize, name: &str) -> PathBuf {
        self.place.path().join(NAMES[region]).join(name)
    }

    pub(crate) fn file(&self, region: usize, name: &str) -> String {
        self.path(region, name).display().to_string()
    }

    pub(crate) fn run(&self, region: usize, arguments: &[&str]) -> Answer {
        let config = self.file(region, "region.toml");
        exequatur(arguments.iter().copied().chain(["--config", &config]))
    }

    /// Founds the federation at the first region.
    pub(crate) fn bootstrap(&self) -> Answer {
        let tickets: Vec<String> = (0..3).map(|r| self.file(r, "cluster/node.ticket")).collect();
        let mut arguments = vec!["cluster", "bootstrap"];
        for ticket in &tickets {
            arguments.extend(["--ticket", ticket]);
        }
        self.run(0, &arguments)
    }

    /// A text without the place of the test.
    pub(crate) fn without_directory(&self, text: &str) -> String {
        text.replace(&self.place.path().display().to_string(), "DIR")
    }
}

/// What federation.toml lacks, ready to be put in.
fn lacking(made: &Value) -> String {
    made["node"]["federation_lacks"].as_str().unwrap().to_owned()
}

fn region_file(region: usize) -> String {
    let name = NAMES[region];
    format!(
        r#"[region]
name         = "{name}"
jurisdiction = "EU"
issuer       = "https://{name}.id.example"

[listen]
plain_http = true
peer       = "127.0.0.1:{}"

[cluster]
directory = "cluster"
anchor    = "anchor/node"
tls       = {{ certificate = "peer.pem", private_key = "peer.key" }}

[keys]
provider = "software"
software = {{ file = "keys.sealed", passphrase_file = "passphrase" }}

[store]
url = "sqlite:region.db"

[[upstream]]
name   = "global"
preset = "keycloak"
issuer = "https://login.example.com/realms/global"
"#,
        18_445 + region
    )
}

#[test]
fn three_regions_found_a_federation_by_the_documented_steps() {
    let federation = Federation::initialised("test");
    for region in 0..3 {
        let checked = federation.run(region, &["config", "check", "--output", "json"]).json();
        assert_eq!(checked["errors"].as_array().unwrap().len(), 0, "{checked}");
    }
    let founded = federation.bootstrap().done();
    assert!(founded.starts_with("founded cluster "), "{founded}");
    assert!(founded.contains(" with 3 voters\ngenesis "), "{founded}");
    assert!(founded.contains("eu-central/cluster/genesis to every other founder"), "{founded}");
    let genesis = federation.file(0, "cluster/genesis");
    let mut digests = Vec::new();
    for region in 1..3 {
        let arguments = ["cluster", "join", "--genesis", &genesis, "--output", "json"];
        let joined = federation.run(region, &arguments).json();
        digests.push(joined["genesis_sha256"].as_str().unwrap().to_owned());
        assert!(!federation.path(region, "cluster/initialises").exists(), "one node initialises");
    }
    assert!(founded.contains(&digests[0]) && digests[0] == digests[1], "{founded}{digests:?}");
    assert!(federation.path(0, "cluster/initialises").exists());
    let bytes = fs::read(federation.path(0, "cluster/genesis")).unwrap();
    assert_eq!(fs::read(federation.path(2, "cluster/genesis")).unwrap(), bytes);
}

#[test]
fn init_prints_what_federation_toml_lacks_and_nothing_once_it_has_it() {
    let federation = Federation::new();
    let first = federation.run(0, &["init"]).done();
    let lines: Vec<&str> = first.lines().skip_while(|l| !l.starts_with("put this")).collect();
    assert_eq!(
        lines[0],
        "put this into the table of `eu-central` in every copy of federation.toml:"
    );
    assert!(lines[2].starts_with("identity = \"p256:"), "{first}");
    assert_eq!(lines[3], "[[region.node]]");
    assert!(lines[4].starts_with("id      = \""), "{first}");
    assert_eq!(lines[5], "address = \"127.0.0.1:18445\"");
    assert!(first.contains("made identity ES256 ") && first.contains("made node "), "{first}");
    let again = federation.run(0, &["init"]).done();
    assert!(again.starts_with("nothing was missing\n") && again.contains(lines[4]), "{again}");
    let federation = Federation::initialised("test");
    let complete = federation.run(0, &["init"]).done();
    assert_eq!(
        complete,
        "nothing was missing\nthe node has pinned no federation yet: `exequatur cluster bootstrap` or \
         `exequatur cluster join` pins it\n"
    );
}

#[test]
fn the_node_s_files_are_private() {
    let federation = Federation::new();
    federation.run(0, &["init"]).done();
    let mode = |name| fs::metadata(federation.path(0, name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("cluster"), 0o700);
    for name in ["cluster/node.key", "cluster/node.ticket", "anchor/node"] {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}

#[test]
fn a_wiped_directory_is_not_made_anew_under_its_anchor() {
    let federation = Federation::initialised("test");
    fs::remove_dir_all(federation.path(0, "cluster")).unwrap();
    let told = federation.run(0, &["init"]).failed(1).to_owned();
    assert!(told.starts_with("error: wiped: the anchor remembers node "), "{told}");
    assert!(
        told.contains("rejoin as a new node: move the directory and the anchor away"),
        "{told}"
    );
    assert!(!federation.path(0, "cluster").exists(), "nothing was made in its place");
    fs::remove_file(federation.path(0, "anchor/node")).unwrap();
    let made = federation.run(0, &["init", "--output", "json"]).json();
    assert_eq!(made["node"]["made"], true);
    let lacking = lacking(&made);
    assert!(!lacking.contains("identity =") && lacking.contains("[[region.node]]"), "{lacking}");
}

#[test]
fn an_anchor_that_is_missing_is_made_only_before_anything_was_pinned() {
    let federation = Federation::initialised("test");
    let anchor = federation.path(0, "anchor/node");
    fs::remove_file(&anchor).unwrap();
    let told = federation.bootstrap().failed(1).to_owned();
    assert!(told.ends_with("is missing: run `exequatur init`, which makes it\n"), "{told}");
    federation.run(0, &["init"]).done();
    assert!(anchor.exists());
    federation.bootstrap().done();
    fs::remove_file(&anchor).unwrap();
    let told = federation.run(0, &["init"]).failed(1).to_owned();
    assert!(told.starts_with("error: the anchor of node "), "{told}");
    assert!(!anchor.exists());
}

#[test]
fn a_directory_that_was_exchanged_or_restored_pins_nothing() {
    let federation = Federation::initialised("test");
    let backup = federation.path(0, "backup");
    fs::create_dir(&backup).unwrap();
    for name in ["node.key", "node.ticket"] {
        fs::copy(federation.path(0, "cluster").join(name), backup.join(name)).unwrap();
    }
    federation.bootstrap().done();
    fs::remove_dir_all(federation.path(0, "cluster")).unwrap();
    fs::set_permissions(&backup, fs::Permissions::from_mode(0o700)).unwrap();
    fs::rename(&backup, federation.path(0, "cluster")).unwrap();
    let told = federation.bootstrap().failed(1).to_owned();
    assert!(told.starts_with("error: rolled back: the anchor has pinned the genesis "), "{told}");
    // The directory of another region, whose key store is another.
    let other = Federation::initialised("test");
    other.bootstrap().done();
    fs::remove_dir_all(other.path(1, "cluster")).unwrap();
    fs::rename(other.path(2, "cluster"), other.path(1, "cluster")).unwrap();
    let genesis = other.file(0, "cluster/genesis");
    let told = other.run(1, &["cluster", "join", "--genesis", &genesis]).failed(1).to_owned();
    assert!(told.contains("was made for another region or federation"), "{told}");
}

#[test]
fn a_region_alone_has_no_cluster_to_join() {
    let region = crate::region::Region::new();
    region.run(&["init"]).done();
    let told = region.run(&["cluster", "ticket"]).failed(1).to_owned();
    assert!(told.starts_with("error: the region file has no `[cluster]`"), "{told}");
}

#[test]
fn a_directory_that_others_may_read_is_refused_and_how_to_mend_it_is_said() {
    let federation = Federation::initialised("test");
    let cluster = federation.path(0, "cluster");
    fs::set_permissions(&cluster, fs::Permissions::from_mode(0o755)).unwrap();
    let told = federation.bootstrap().failed(1).to_owned();
    assert_eq!(
        federation.without_directory(&told),
        "error: `DIR/eu-central/cluster` is open to others (mode 0755): run `chmod 700 \
         DIR/eu-central/cluster`\n"
    );
    fs::set_permissions(&cluster, fs::Permissions::from_mode(0o700)).unwrap();
    let key = federation.path(0, "cluster/node.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let told = federation.bootstrap().failed(1).to_owned();
    assert!(told.contains("node.key` is open to others (mode 0644): run `chmod 600 "), "{told}");
}

#[test]
fn a_key_store_that_is_not_the_one_of_federation_toml_is_refused() {
    let federation = Federation::initialised("test");
    let strange = Federation::new();
    for name in ["region.toml", "federation.toml"] {
        fs::copy(federation.path(0, name), strange.path(0, name)).unwrap();
    }
    let told = strange.run(0, &["init"]).failed(1).to_owned();
    assert!(told.starts_with("error: federation.toml has the identity p256:"), "{told}");
    assert!(!strange.path(0, "cluster").exists());
}
