//! The node's listeners: public endpoints, and health and metrics.

use std::{net::SocketAddr, path::Path, sync::Arc};

use exequatur_federation::{
    config::{AdminAddress, NodeSettings, Transport},
    operator::Roles,
};
use tokio::{net::TcpListener, sync::watch};

use super::{Seams, resolve};
use crate::{
    admin::{AdminEndpoint, AdminListenError, AdminListener},
    facade::{
        Facade, router,
        stack::{StackLimits, StackParts, stack},
        unserved,
    },
    net::{
        certificate::{CertificateWatch, POLL_INTERVAL, PairError, PairFiles},
        limits::Limits,
        listener::{PlainRefused, plain_allowed},
        serve::Server,
        tls::{Tls, no_client_certificates},
    },
    telemetry::{health::Health, metrics::Metrics, operations::operations_router},
};

/// Why a listener does not open.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The address is not free or not ours.
    #[error("cannot listen on `{address}` (`listen.{key}`)")]
    Bind {
        /// Key of the setting.
        key: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate cannot be served.
    #[error(transparent)]
    Certificate(#[from] PairError),
    /// Plain HTTP where others could read along.
    #[error(transparent)]
    Plain(#[from] PlainRefused),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

/// Bound listeners.
pub(super) struct Listeners {
    public: TcpListener,
    public_address: SocketAddr,
    operations: TcpListener,
    operations_address: SocketAddr,
    tls: Tls,
    watch: Option<CertificateWatch>,
    limits: Limits,
    stack: StackLimits,
}

/// Binds the listeners that the settings name.
pub(super) async fn bind(
    settings: &NodeSettings,
    directory: &Path,
    seams: &Seams,
    metrics: &Arc<Metrics>,
) -> Result<Listeners, ListenError> {
    let (tls, watch) = match &settings.listen.transport {
        Transport::PlainHttp => {
            plain_allowed(settings.listen.public)?;
            (Tls::Plain, None)
        }
        Transport::Tls { certificate, private_key } => {
            let files = PairFiles {
                certificates: resolve(directory, certificate),
                key: resolve(directory, private_key),
            };
            let (clock, metrics) = (Arc::clone(&seams.clock), Arc::clone(metrics));
            let watch = CertificateWatch::open(files, clock, metrics).await?;
            let tls = Tls::terminate(watch.current(), no_client_certificates())?;
            (tls, Some(watch))
        }
    };
    plain_allowed(settings.listen.operations)?;
    let (public, public_address) = bound("public", settings.listen.public).await?;
    let (operations, operations_address) = bound("operations", settings.listen.operations).await?;
    let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
    let limits = Limits { connections_max: count(settings.limits.connections), ..Limits::public() };
    let stack = StackLimits {
        in_flight_max: count(settings.limits.requests_in_flight),
        ..StackLimits::public()
    };
    Ok(Listeners {
        public,
        public_address,
        operations,
        operations_address,
        tls,
        watch,
        limits,
        stack,
    })
}

/// Binds the operator's service, if the settings have one.
pub(super) async fn admin(
    settings: &NodeSettings,
    directory: &Path,
    seams: &Seams,
    metrics: &Arc<Metrics>,
) -> Result<Option<(AdminListener, Roles)>, AdminListenError> {
    let roles = settings.admin.as_ref().map(|admin| admin.roles.clone()).unwrap_or_default();
    let endpoint = match (&settings.listen.admin, &settings.admin) {
        (Some(AdminAddress::Unix(path)), _) => AdminEndpoint::Unix(resolve(directory, path)),
        (Some(AdminAddress::Tcp(address)), Some(admin)) => AdminEndpoint::Tcp {
            address: *address,
            certificate: PairFiles {
                certificates: resolve(directory, &admin.tls.certificate),
                key: resolve(directory, &admin.tls.private_key),
            },
            client_ca: resolve(directory, &admin.client_ca),
        },
        _ => return Ok(None),
    };
    let seams = (Arc::clone(&seams.clock), seams.entropy.as_ref());
    Ok(Some((AdminListener::bind(endpoint, seams, metrics).await?, roles)))
}

async fn bound(
    key: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), ListenError> {
    let error = |source| ListenError::Bind { key, address, source };
    let listener = TcpListener::bind(address).await.map_err(error)?;
    let address = listener.local_addr().map_err(error)?;
    Ok((listener, address))
}

impl Listeners {
    pub(super) const fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    pub(super) const fn operations_address(&self) -> SocketAddr {
        self.operations_address
    }

    /// Serves until `stop` resolves and requests under way have ended.
    pub(super) async fn serve(
        self,
        facade: &Arc<Facade>,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
        stop: impl Future<Output = ()>,
    ) {
        let renderer = Arc::clone(facade);
        let parts = StackParts {
            limits: self.stack,
            entropy: Arc::clone(&facade.entropy),
            metrics: Arc::clone(&metrics),
            render: move |why, id: Option<&_>| unserved(&renderer, why, id),
        };
        let public = Server {
            service: stack(router(Arc::clone(facade)), parts),
            tls: self.tls,
            limits: self.limits,
            meters: metrics.connections("public"),
        };
        let operations = Server {
            service: operations_router(health, Arc::clone(&metrics)),
            tls: Tls::Plain,
            limits: Limits::public(),
            meters: metrics.connections("operations"),
        };
        let (stopping, mut stopped) = watch::channel(false);
        let public = async {
            public.serve(self.public, stop).await;
            // Health is told about as long as requests are served.
            stopping.send_replace(true);
        };
        let operations_stop = async {
            // An error means that the public listener is gone, which is the same.
            let _gone = stopped.wait_for(|stopped| *stopped).await.is_err();
        };
        let operations = operations.serve(self.operations, operations_stop);
        let served = async { tokio::join!(public, operations) };
        match self.watch {
            None => drop(served.await),
            Some(watch) => tokio::select! {
                _ = served => {}
                () = watch.watch(POLL_INTERVAL) => {}
            },
        }
    }
}
