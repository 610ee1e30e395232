//! Three nodes, their files, their network, and everything that a test does to them.

pub(crate) mod authority;
pub(crate) mod files;
pub(crate) mod global;
pub(crate) mod http;
pub(crate) mod invariants;
pub(crate) mod lines;
pub(crate) mod load;
pub(crate) mod network;
pub(crate) mod node;
pub(crate) mod site;
pub(crate) mod status;
pub(crate) mod stranger;
mod waits;

use std::{collections::BTreeMap, path::PathBuf, process::Command, sync::Arc};

use authority::Authority;
use files::{Law, REGIONS};
use invariants::History;
use load::{Acknowledged, Answer, Load, Switchboard};
use network::Network;
use node::Node;
use site::{Said, Site};
use status::Status;

pub(crate) use node::Program;
pub(crate) use waits::{pause, wait_for};

/// Name of the lab's federation.
pub(crate) const FEDERATION: &str = "example";
/// Nodes that a federation is founded with.
pub(crate) const FOUNDERS: usize = 3;
/// Where nobody is.
pub(crate) const NO_ISSUER: &str = "http://127.0.0.1:1/realms/global";
/// The port of every node: each has an address of its own.
const PORT: u16 = 8445;

/// How a test's federation differs from the plainest.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) program: Program,
    /// Whether nodes have networks of their own, which can be cut.
    pub(crate) networks: bool,
    /// A node whose directory is a small file system of its own, and its size.
    pub(crate) small_disk: Option<(usize, &'static str)>,
}

impl Plan {
    pub(crate) const PRODUCT: Self =
        Self { program: Program::Exequatur, networks: false, small_disk: None };
    pub(crate) const DRIVEN: Self =
        Self { program: Program::Driven, networks: false, small_disk: None };
    pub(crate) const NETWORKS: Self =
        Self { program: Program::Driven, networks: true, small_disk: None };
}

/// A federation on one machine. Fields are dropped in their order: processes first.
pub(crate) struct Lab {
    nodes: Vec<Option<Node>>,
    plan: Plan,
    pub(crate) sites: Vec<Site>,
    pub(crate) authorities: Vec<Authority>,
    network: Option<Network>,
    pub(crate) switchboard: Arc<Switchboard>,
    pub(crate) acknowledged: Arc<Acknowledged>,
    history: History,
    /// How often each node has said that it took new certificates.
    reloads: BTreeMap<usize, usize>,
    /// What is in the environment of each node's process.
    environment: BTreeMap<usize, Vec<(String, String)>>,
    /// How often each node was started.
    starts: BTreeMap<usize, usize>,
    /// The global issuer of the regions.
    issuer: String,
    directory: tempfile::TempDir,
}

impl Lab {
    /// A federation of three nodes that has a leader.
    pub(crate) fn form(plan: Plan) -> Self {
        Self::form_with(plan, None)
    }

    /// The same, of regions that take the tokens of this global issuer.
    pub(crate) fn form_with(plan: Plan, issuer: Option<&str>) -> Self {
        Self::form_after(plan, issuer, |_| ())
    }

    /// The same, with something done once `init` has run and before anything is founded.
    pub(crate) fn form_after(plan: Plan, issuer: Option<&str>, done: impl FnOnce(&Self)) -> Self {
        let mut lab = Self::prepare_with(plan, issuer);
        done(&lab);
        lab.found();
        lab.start_all();
        // The membership and a leader's first entry stand before the genesis.
        for node in lab.running() {
            lab.status_when(node, "a ledger that has begun", |status| status.applied >= Some(2));
        }
        lab
    }

    /// Makes one of the nodes found the federation, and the others join it.
    pub(crate) fn found(&mut self) {
        self.bootstrap(&self.tickets()).done();
        let genesis = self.genesis_file().display().to_string();
        for site in &self.sites[1..] {
            site.exequatur(&["cluster", "join", "--genesis", &genesis]).done();
        }
    }

    /// The tickets that `init` wrote.
    pub(crate) fn tickets(&self) -> Vec<String> {
        self.sites.iter().map(Site::ticket).collect()
    }

    /// Runs `cluster bootstrap` at the first node.
    pub(crate) fn bootstrap(&self, tickets: &[String]) -> Said {
        let mut arguments = vec!["cluster", "bootstrap"];
        for ticket in tickets {
            arguments.extend(["--ticket", ticket]);
        }
        self.sites[0].exequatur(&arguments)
    }

    /// Starts every node and waits for their leader.
    pub(crate) fn start_all(&mut self) {
        for node in 0..self.sites.len() {
            self.start(node);
        }
        self.settle();
    }

    /// Gives a node whose directory is gone another one, as a refusal says, and starts it.
    pub(crate) fn rejoin(&mut self, node: usize) {
        self.sites[node].move_away();
        self.join_by_invite(node);
    }

    /// Adds a node of a region, which does not vote, and starts it.
    pub(crate) fn add_node(&mut self, region: usize) -> usize {
        let node = self.add_site(region, false);
        for file in ["keys.sealed", "passphrase"] {
            // One region has one set of keys.
            std::fs::copy(self.sites[region].path(file), self.sites[node].path(file)).unwrap();
        }
        self.write_federation();
        self.join_by_invite(node);
        node
    }

    fn join_by_invite(&mut self, node: usize) {
        self.sites[node].init();
        let authority = &self.authorities[usize::from(self.sites[node].region().number) - 1];
        self.sites[node].certify(authority);
        self.write_federation();
        // The file is read at a start.
        for running in self.running() {
            self.stop(running);
            self.start(running);
            self.settle();
        }
        let (ticket, invite) = (self.sites[node].ticket(), self.sites[node].path("node.invite"));
        std::fs::remove_file(&invite).ok();
        let invite = invite.display().to_string();
        let inviting = self.running()[0];
        self.sites[inviting].exequatur(&["cluster", "invite", &ticket, "--to", &invite]).done();
        self.sites[node].exequatur(&["cluster", "join", "--invite", &invite]).done();
        self.start(node);
    }

    /// Three nodes that `init` has made, with certificates and a common `federation.toml`.
    pub(crate) fn prepare(plan: Plan) -> Self {
        Self::prepare_with(plan, None)
    }

    fn prepare_with(plan: Plan, issuer: Option<&str>) -> Self {
        let directory = tempfile::Builder::new().prefix("exq").tempdir().unwrap();
        let network = plan.networks.then(|| Network::new(FOUNDERS));
        if plan.small_disk.is_some() {
            require_root("a file system of its own");
        }
        let mut lab = Self {
            nodes: Vec::new(),
            plan,
            sites: Vec::new(),
            authorities: REGIONS.iter().map(|region| Authority::new(region.name)).collect(),
            network,
            switchboard: Arc::default(),
            acknowledged: Arc::default(),
            history: History::default(),
            reloads: BTreeMap::new(),
            environment: BTreeMap::new(),
            starts: BTreeMap::new(),
            issuer: issuer.unwrap_or(NO_ISSUER).to_owned(),
            directory,
        };
        for region in 0..FOUNDERS {
            lab.add_site(region, true);
        }
        lab.write_federation();
        for site in &mut lab.sites {
            site.init();
        }
        lab.write_federation();
        for (site, authority) in lab.sites.iter().zip(&lab.authorities) {
            site.certify(authority);
        }
        lab
    }

    /// Adds the directory of one more node of a region, and returns its number.
    pub(crate) fn add_site(&mut self, region: usize, voter: bool) -> usize {
        let number = self.sites.len();
        let directory = self.directory.path().join(format!("{number}"));
        let address = match &self.network {
            Some(network) => format!("{}:{PORT}", network.host(number)),
            None => loopback_address(number),
        };
        let site = Site::new(directory, &REGIONS[region], address, (voter, &self.issuer));
        self.sites.push(site);
        self.nodes.push(None);
        self.switchboard.add(REGIONS[region].number);
        number
    }

    /// Writes `federation.toml` and the authorities of all sites anew.
    pub(crate) fn write_federation(&self) {
        let text = self.federation_file(&Law::default());
        let bundles: Vec<String> =
            self.authorities.iter().map(|authority| authority.certificate().to_owned()).collect();
        for site in &self.sites {
            site.write_authorities(&bundles);
            site.write_federation(&text);
        }
    }

    /// The file that the federation's members pin.
    pub(crate) fn genesis_file(&self) -> PathBuf {
        self.sites[0].path("cluster/genesis")
    }

    /// The network, which only [`Plan::NETWORKS`] has.
    pub(crate) fn network(&self) -> &Network {
        self.network.as_ref().expect("the plan has no networks")
    }

    /// The running node.
    #[track_caller]
    pub(crate) fn node(&mut self, node: usize) -> &mut Node {
        self.nodes[node].as_mut().expect("the node does not run")
    }

    /// Starts a node and returns at once.
    pub(crate) fn start(&mut self, node: usize) {
        assert!(self.nodes[node].is_none(), "the node runs already");
        let mut command = self.run_command(node);
        let log = self.sites[node].path("run.log");
        let started = Node::start(self.plan.program, &mut command, &log);
        self.switchboard.connect(node, started.lines().cloned());
        self.history.started(node);
        *self.starts.entry(node).or_default() += 1;
        self.nodes[node] = Some(started);
    }

    /// Runs a node where it must end by itself with exit code 1, and returns what it said.
    pub(crate) fn start_in_vain(&mut self, node: usize) -> String {
        let mut command = self.run_command(node);
        let log = self.sites[node].path("refused.log");
        std::fs::remove_file(&log).ok();
        let mut started = Node::start(self.plan.program, &mut command, &log);
        let status = started.ended();
        assert_eq!(status.code(), Some(1), "{}", started.log());
        started.log()
    }

    fn run_command(&self, node: usize) -> Command {
        let site = &self.sites[node];
        let mut words = Vec::new();
        if let Some((small, size)) = self.plan.small_disk
            && small == node
        {
            words.extend(on_a_small_disk(size));
        }
        words.extend(self.plan.program.words());
        words.extend(site.files());
        let mut command = match &self.network {
            Some(network) => network.enter(node),
            None => Command::new(words.remove(0)),
        };
        command.args(words).current_dir(site.directory());
        let environment = self.environment.get(&node).into_iter().flatten();
        command.envs(environment.map(|(name, value)| (name, value)));
        command
    }

    /// Gives a node's process these variables from its next start on.
    pub(crate) fn run_with(&mut self, node: usize, variables: &[(&str, &str)]) {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.environment.insert(node, variables.iter().map(owned).collect());
    }

    /// Ends a node at once.
    pub(crate) fn kill(&mut self, node: usize) {
        self.switchboard.connect(node, None);
        self.nodes[node].take().expect("the node does not run").kill();
    }

    /// Ends a node by SIGTERM and waits for it.
    pub(crate) fn stop(&mut self, node: usize) {
        self.switchboard.connect(node, None);
        let mut stopped = self.nodes[node].take().expect("the node does not run");
        let status = stopped.terminate();
        assert!(status.success(), "{status}\n{}", stopped.log());
    }

    /// Numbers of the nodes that run.
    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].is_some()).collect()
    }

    /// What a node says of itself, checked against what it said before.
    pub(crate) fn status(&mut self, node: usize) -> Option<Status> {
        let status = self.sites[node].status()?;
        self.history.note(node, &status);
        Some(status)
    }

    /// The nodes that run, without this one.
    pub(crate) fn others(&self, node: usize) -> Vec<usize> {
        self.running().into_iter().filter(|other| *other != node).collect()
    }

    /// Which node has this id.
    pub(crate) fn number_of(&self, id: &str) -> usize {
        let number = self.sites.iter().position(|site| site.id() == Some(id));
        number.unwrap_or_else(|| panic!("nobody has the id {id}"))
    }

    /// Proposes at every node at once until the load is stopped.
    pub(crate) fn load(&self) -> Load {
        self.load_at(&(0..self.sites.len()).collect::<Vec<_>>())
    }

    /// Proposes at these nodes at once until the load is stopped.
    pub(crate) fn load_at(&self, nodes: &[usize]) -> Load {
        Load::start(nodes, &self.switchboard, &self.acknowledged)
    }

    /// `federation.toml` of this federation with another law.
    pub(crate) fn federation_file(&self, law: &Law) -> String {
        files::federation_file(law, &self.sites)
    }

    /// Proposes one revocation at a node.
    pub(crate) fn revoke(&self, node: usize) -> Answer {
        self.switchboard.revoke(node, &self.acknowledged)
    }

    /// Proposes at a node until it is acknowledged.
    pub(crate) fn revoke_for_sure(&self, node: usize) -> u64 {
        wait_for("an acknowledged revocation", || match self.revoke(node) {
            Answer::Decided(index) => Some(index),
            Answer::Failed(_) | Answer::Unknown => None,
        })
    }

    /// Heals what can be healed, waits until everything has arrived, and checks what consensus
    /// promises. Every test ends with it.
    pub(crate) fn finish(mut self) {
        if let Some(network) = &self.network {
            network.heal();
        }
        self.settle();
        invariants::check(&mut self);
    }
}

/// The words before a program that give it a directory `cluster` of limited size, with what was in
/// it. The file system is in a namespace that goes with the process.
fn on_a_small_disk(size: &str) -> Vec<String> {
    let script = r#"
        set -e
        rm -rf cluster.kept
        cp -a cluster cluster.kept
        mount -t tmpfs -o "mode=0700,size=$1" tmpfs cluster
        cp -a cluster.kept/. cluster
        shift
        exec "$@"
    "#;
    let words = ["unshare", "--mount", "sh", "-c", script, "sh", size];
    words.into_iter().map(str::to_owned).collect()
}

/// Fails with the way out when this process may not do what only root may.
fn require_root(what: &str) {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "{what} needs root: run the tests as root, or in a container as root");
}

/// A loopback address of this test and this node alone. Its port is none that the system gives to
/// whoever connects: while the node is down, nobody else may get it.
fn loopback_address(node: usize) -> String {
    let [_, high, low, _] = (std::process::id() << 8).to_be_bytes();
    format!("127.{}.{low}.{}:{PORT}", high.max(1), node + 1)
}
