//! Connections by listener.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// Connections of one listener.
#[derive(Clone, Debug)]
pub struct ConnectionMeters {
    /// Connections open now, handshakes included.
    pub open: Gauge,
    /// Connections closed at once because the listener was full.
    pub refused: Counter,
    /// TLS handshakes that failed or took too long.
    pub handshake_failures: Counter,
    /// Connections cut for being too slow or idle.
    pub timeouts: Counter,
    /// Connections that ended with an HTTP protocol error.
    pub protocol_errors: Counter,
}

/// The series of all listeners.
#[derive(Debug)]
pub(super) struct ConnectionFamilies {
    open: Family<ListenerLabels, Gauge>,
    refused: Family<ListenerLabels, Counter>,
    handshake_failures: Family<ListenerLabels, Counter>,
    timeouts: Family<ListenerLabels, Counter>,
    protocol_errors: Family<ListenerLabels, Counter>,
}

impl ConnectionFamilies {
    pub(super) fn register(r: &mut Registry) -> Self {
        Self {
            open: add(r, "connections_open", "Connections open now"),
            refused: add(r, "connections_refused", "Connections closed because of the cap"),
            handshake_failures: add(r, "tls_handshake_failures", "TLS handshakes that failed"),
            timeouts: add(r, "connection_timeouts", "Connections cut for being slow or idle"),
            protocol_errors: add(r, "connection_protocol_errors", "HTTP protocol errors"),
        }
    }

    pub(super) fn of(&self, listener: &'static str) -> ConnectionMeters {
        let labels = ListenerLabels { listener };
        ConnectionMeters {
            open: self.open.get_or_create_owned(&labels),
            refused: self.refused.get_or_create_owned(&labels),
            handshake_failures: self.handshake_failures.get_or_create_owned(&labels),
            timeouts: self.timeouts.get_or_create_owned(&labels),
            protocol_errors: self.protocol_errors.get_or_create_owned(&labels),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: &'static str,
}
