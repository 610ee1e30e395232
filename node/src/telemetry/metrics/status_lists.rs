//! Status lists and the feed of revocations.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::add;

/// Status lists and the feed of revocations.
#[derive(Clone, Debug)]
pub struct StatusListMeters {
    /// Lists with living tokens.
    pub live: Gauge,
    /// Publications of a list.
    pub published: Counter,
    /// Lists that could not be packed or signed when they should have been.
    pub failures: Counter,
    /// Feeds of revocations that are open.
    pub feeds: Gauge,
}

impl StatusListMeters {
    pub(super) fn register(registry: &mut Registry) -> Self {
        Self {
            live: add(registry, "status_lists", "Status lists with living tokens"),
            published: add(registry, "status_list_publications", "Publications of status lists"),
            failures: add(
                registry,
                "status_list_failures",
                "Status lists that could not be published",
            ),
            feeds: add(registry, "revocation_feeds", "Feeds of revocations that are open"),
        }
    }
}
