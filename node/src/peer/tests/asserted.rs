//! The seam of the transport: without TLS, as a simulator has it, everything above it is the same.

use std::{io, sync::Arc};

use exequatur_federation::{
    ledger::Fixed,
    membership::{Certified, HelloRefused, NodeId},
    region::RegionNumber,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::wire::{Calls, whoami};
use crate::peer::{
    DialError, Dialer, Directory, GreetError, PeerServer,
    limits::PeerLimits,
    testing::{World, node_id},
    transport::{ConnectError, PeerAcceptor, PeerConnector, Secured},
};

/// Says who connects, and is believed.
struct Asserted {
    own: Certified,
    directory: Arc<Directory>,
}

/// Believes who connects.
struct Believing;

const CHANNEL: Fixed<32> = Fixed([5; 32]);

impl PeerConnector for Asserted {
    type Io = TcpStream;

    async fn connect(&self, node: NodeId) -> Result<Secured<TcpStream>, ConnectError> {
        let entry = &self.directory.nodes[&node];
        let region = self.directory.regions[&entry.region];
        let mut io = TcpStream::connect(&entry.address).await.unwrap();
        io.write_u16(self.own.region.number()).await.unwrap();
        io.write_u64(self.own.node.bits()).await.unwrap();
        Ok(Secured { io, certified: Certified { region, node }, channel: CHANNEL })
    }
}

impl PeerAcceptor<TcpStream> for Believing {
    type Io = TcpStream;

    async fn secure(&self, mut io: TcpStream) -> Result<Secured<TcpStream>, io::Error> {
        let region = RegionNumber::new(io.read_u16().await?).unwrap();
        let node = NodeId::new(io.read_u64().await?).unwrap();
        Ok(Secured { io, certified: Certified { region, node }, channel: CHANNEL })
    }
}

#[tokio::test]
async fn nodes_speak_over_any_transport_and_still_prove_their_keys() {
    let mut world = World::new();
    let server = world.node(2).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.settle(2, listener.local_addr().unwrap());
    let client = world.node(1).await;
    let serving = PeerServer {
        acceptor: Believing,
        greeter: Arc::clone(&server.greeter),
        service: whoami(),
        limits: PeerLimits::default(),
        meters: server.metrics.connections("peer"),
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(serving.serve(listener, std::future::pending()));

    let dialer = |node: u64| Dialer {
        connector: Asserted {
            own: Certified { region: world.members[&node_id(node)].region, node: node_id(node) },
            directory: Arc::clone(&client.directory),
        },
        greeter: Arc::clone(&client.greeter),
        limits: PeerLimits::default(),
    };
    let mut calls = Calls::over(dialer(1).dial(node_id(2)).await.unwrap()).await;
    assert_eq!(calls.call().await.unwrap(), "0000000000000001");
    let error = dialer(3).dial(node_id(2)).await.unwrap_err();
    let DialError::Greet { source: GreetError::RefusedByPeer(refused), .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(refused, HelloRefused::Certificate);
}
