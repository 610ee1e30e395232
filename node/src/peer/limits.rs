//! What nodes accept of each other at most, each number with its reason.

use std::time::Duration;

use crate::net::limits::Limits;

/// Largest message: an append of 128 entries of 17 KiB fits with room to spare.
pub const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Connections that have not greeted yet. Strangers can fill only these.
const HANDSHAKES_MAX: usize = 128;

/// Connections of one node: four lanes, twice while one replaces another, and as many that died
/// unnoticed.
const CONNECTIONS_PER_NODE_MAX: usize = 16;

/// Securing a connection and greeting are four round trips.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of a call's headers. Ours are under 1 KiB.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// Calls open at once on one connection: a lane has a handful.
const STREAMS_MAX: u32 = 32;

/// How long calls under way may take after the node was told to stop; consensus has moved its lead
/// away by then.
const DRAIN: Duration = Duration::from_secs(5);

/// Pings find a node that vanished without a FIN: within a few heartbeats of a federation that
/// spans the world.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// A ping not answered for so long means that the path is gone: ten of the longest round trips.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a connection's membership is looked at while no call asks.
const MEMBERSHIP_LOOK: Duration = Duration::from_secs(1);

/// Bytes under way in one call before the receiver has taken any: an append of the usual size over
/// the longest round trip needs no pause.
pub(crate) const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Bytes under way on one connection.
pub(crate) const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// The limits of connections between nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerLimits {
    /// Connections that have not greeted yet; more are closed at once.
    pub handshakes_max: usize,
    /// Connections of one node; more are closed at once.
    pub connections_per_node_max: usize,
    /// Time to connect, secure and greet.
    pub handshake: Duration,
    /// Bytes of a call's headers.
    pub header_bytes_max: usize,
    /// Calls open at once on one connection.
    pub streams_max: u32,
    /// Time for calls under way once the node stops.
    pub drain: Duration,
    /// Time between HTTP/2 pings.
    pub ping_interval: Duration,
    /// Time for the answer to a ping.
    pub ping_timeout: Duration,
    /// Time between looks at whether the other end still is a member.
    pub membership_look: Duration,
}

impl Default for PeerLimits {
    fn default() -> Self {
        Self {
            handshakes_max: HANDSHAKES_MAX,
            connections_per_node_max: CONNECTIONS_PER_NODE_MAX,
            handshake: HANDSHAKE,
            header_bytes_max: HEADER_BYTES_MAX,
            streams_max: STREAMS_MAX,
            drain: DRAIN,
            ping_interval: PING_INTERVAL,
            ping_timeout: PING_TIMEOUT,
            membership_look: MEMBERSHIP_LOOK,
        }
    }
}

impl PeerLimits {
    /// The same limits where the serve loop of all listeners asks for its own.
    pub(super) const fn of_listener(&self) -> Limits {
        let mut limits = Limits::public();
        limits.drain = self.drain;
        limits
    }
}
