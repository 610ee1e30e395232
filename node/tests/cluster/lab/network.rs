//! A network of its own for every node: a namespace each, joined by a bridge in one more.
//!
//! A namespace has no name; it is held by a process that ends when this test does, however that
//! comes about, and the kernel removes it with its last process. Nothing outside is touched. Needs
//! root, `ip` and `tc` (iproute2), `nft` (nftables), `unshare` and `nsenter` (util-linux).

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use super::wait_for;

/// The device of a node in its namespace.
const DEVICE: &str = "uplink";

/// The namespaces of all nodes.
pub(crate) struct Network {
    nodes: Vec<Namespace>,
    /// Lives as long as the nodes': the bridge is in it.
    _switch: Namespace,
}

struct Namespace(Child);

impl Network {
    /// Namespaces for `count` nodes that reach each other.
    pub(crate) fn new(count: usize) -> Self {
        require_programs();
        let switch = Namespace::new();
        switch.run("ip", "link add bridge0 type bridge");
        switch.run("ip", "link set bridge0 up");
        let nodes = (0..count).map(|_| Namespace::new()).collect();
        let network = Self { nodes, _switch: switch };
        for node in 0..count {
            network.plug_in(node);
        }
        network
    }

    fn plug_in(&self, node: usize) {
        let (switch, own) = (&self._switch, &self.nodes[node]);
        let port = format!("port{node}");
        let pid = own.0.id();
        switch.run("ip", &format!("link add {port} type veth peer name {DEVICE} netns {pid}"));
        switch.run("ip", &format!("link set {port} master bridge0"));
        switch.run("ip", &format!("link set {port} up"));
        own.run("ip", &format!("addr add {}/24 dev {DEVICE}", self.host(node)));
        own.run("ip", &format!("link set {DEVICE} up"));
        own.run("ip", "link set lo up");
        own.nft(
            "add table inet faults\n\
             add chain inet faults heard { type filter hook input priority 0; }\n",
        );
    }

    /// The address of a node.
    pub(crate) fn host(&self, node: usize) -> String {
        format!("10.77.0.{}", node + 1)
    }

    /// A command that runs a program in a node's network; the process becomes the program.
    pub(crate) fn enter(&self, node: usize) -> Command {
        self.nodes[node].enter()
    }

    /// `node` hears nothing more of `other`, though `other` may hear `node`.
    pub(crate) fn deafen(&self, node: usize, other: usize) {
        let other = self.host(other);
        self.nodes[node]
            .nft(&format!("add rule inet faults heard ip saddr {other} counter drop\n"));
    }

    /// Nothing passes between the two.
    pub(crate) fn cut(&self, one: usize, other: usize) {
        self.deafen(one, other);
        self.deafen(other, one);
    }

    /// Nothing passes between the node and all others.
    pub(crate) fn isolate(&self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.cut(node, other);
        }
    }

    /// `node` hears nothing more of anybody.
    pub(crate) fn clog(&self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.deafen(node, other);
        }
    }

    /// `node` hears again whatever is sent to it.
    pub(crate) fn unclog(&self, node: usize) {
        self.nodes[node].nft("flush chain inet faults heard\n");
    }

    /// Of what `node` is sent, this share is lost.
    pub(crate) fn lose(&self, node: usize, percent: u32) {
        self.nodes[node].nft(&format!(
            "add rule inet faults heard iifname {DEVICE} numgen random mod 100 < {percent} counter drop\n"
        ));
    }

    /// What `node` sends is this slow.
    pub(crate) fn narrow(&self, node: usize, rate: &str) {
        let shape =
            format!("qdisc replace dev {DEVICE} root tbf rate {rate} burst 16kb latency 50ms");
        self.nodes[node].run("tc", &shape);
    }

    /// How many packets `node` did not hear since the last [`heal`](Self::heal): whether a fault was
    /// one.
    pub(crate) fn unheard(&self, node: usize) -> u64 {
        let rules = self.nodes[node].run("nft", "list chain inet faults heard");
        let counts = rules.split("packets ").skip(1);
        counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Everybody hears everybody again, as fast as ever.
    pub(crate) fn heal(&self) {
        for node in &self.nodes {
            node.nft("flush chain inet faults heard\n");
            // Refused where nothing was narrowed.
            node.command("tc", &format!("qdisc del dev {DEVICE} root")).output().unwrap();
        }
    }
}

impl Namespace {
    fn new() -> Self {
        let held = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let namespace = Self(held.unwrap());
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        wait_for("a network namespace, which takes root", || {
            (fs::read_link(namespace.place()).ok()? != ours).then_some(())
        });
        namespace
    }

    fn place(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.0.id()))
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.place().display()));
        command
    }

    fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = self.enter();
        command.arg(program).args(arguments.split(' '));
        command
    }

    fn run(&self, program: &str, arguments: &str) -> String {
        let output = self.command(program, arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn nft(&self, rules: &str) {
        let mut command = self.command("nft", "-f -");
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{rules}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Fails with the way out when something is not there.
fn require_programs() {
    super::require_root("network namespaces");
    let needed = [
        ("ip", "-V", "iproute2"),
        ("tc", "-V", "iproute2"),
        ("nft", "--version", "nftables"),
        ("unshare", "--version", "util-linux"),
        ("nsenter", "--version", "util-linux"),
    ];
    for (program, version, package) in needed {
        let found = Command::new(program).arg(version).output().is_ok();
        assert!(found, "`{program}` is missing: install the package {package} (`make test` does)");
    }
}

#[test]
fn what_is_cut_is_not_heard_and_what_is_healed_is() {
    let network = Network::new(3);
    let reaches = |from: usize, to: usize| {
        let host = network.host(to);
        let script = format!("exec 3<>/dev/tcp/{host}/9");
        let mut command = network.enter(from);
        command.args(["timeout", "1", "bash", "-c", &script]);
        // Nobody listens: whoever is reached refuses at once, and who is not is waited for.
        command.output().unwrap().status.code() != Some(124)
    };
    assert!(reaches(0, 1) && reaches(1, 2) && reaches(2, 0));
    network.isolate(0);
    assert!(!reaches(0, 1) && !reaches(2, 0) && reaches(1, 2));
    assert!(network.unheard(0) > 0 && network.unheard(1) > 0);
    network.heal();
    assert!(reaches(0, 1) && reaches(2, 0));
    assert_eq!(network.unheard(0), 0);
    network.deafen(0, 1);
    // The answers of 1 do not come through, and neither does what it asks.
    assert!(!reaches(0, 1) && !reaches(1, 0) && reaches(0, 2));
    assert_eq!(network.unheard(1), 0, "1 still hears 0");
}

#[test]
fn a_namespace_ends_with_the_process_that_holds_it() {
    let network = Network::new(1);
    let place = network.nodes[0].place();
    assert!(place.exists());
    drop(network);
    assert!(!place.exists());
}
