//! The methods of the service: who asks, whether they may, what they ask for; then the worker.

use std::{fmt, num::NonZeroU32, sync::Arc, time::Duration};

use axum::{
    extract::{Request as HttpRequest, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response as HttpResponse},
};
use exequatur_federation::{
    audit::Event,
    operator::{Action, Operator, Roles},
};
use http::{StatusCode, Version, header};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tonic::{Extensions, Request, Response, Status, service::Routes};

use super::{
    AdminWorker, RequestId, Revoker,
    action::{Order, Ordering},
    caller,
    cause::{Cause, Unmet},
    clients::CurrentClients,
    convert, revoke,
    wire::{self, admin_server::AdminServer},
    worker::{self, Carried, Job},
};
use crate::{
    audit::{AuditLog, CountedRefusals},
    clock::Clock,
    consensus::control::Cluster,
    facade::rate::{ClientRate, ClientRateLimiter},
    net::listener::Remote,
};

/// Largest request: a ticket is under 300 bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 4 * 1024;

/// Largest answer: the status of a thousand nodes.
pub(super) const REPLY_BYTES_MAX: usize = 512 * 1024;

/// How long a request may take, with those before it. Whoever waits that long is told to look at
/// the status.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Requests of one operator: a person, or a script that asks for the status. Each action is two
/// records, and must not crowd out those of clients.
const RATE: ClientRate = ClientRate { per_second: FIVE, burst: TWENTY };
const FIVE: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);
const TWENTY: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// What the service works with.
pub struct AdminParts {
    /// What is looked at and acted on.
    pub cluster: Arc<dyn Cluster>,
    /// What revokes.
    pub revoker: Arc<dyn Revoker>,
    /// Where every action is recorded first.
    pub audit: AuditLog,
    /// Refusals of strangers, recorded as counts.
    pub counted: Arc<CountedRefusals>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who may do what over TCP.
    pub roles: Roles,
}

/// The service of one node; cheap to clone.
#[derive(Clone)]
pub struct AdminService(Arc<Shared>);

struct Shared {
    cluster: Arc<dyn Cluster>,
    revoker: Arc<dyn Revoker>,
    audit: AuditLog,
    counted: Arc<CountedRefusals>,
    clock: Arc<dyn Clock>,
    roles: Roles,
    own_uid: u32,
    rates: ClientRateLimiter,
    queue: mpsc::Sender<Job>,
}

impl AdminService {
    /// The service, and the worker that the supervisor runs. Both hold a handle on the audit log:
    /// they must be gone before its writer can end.
    #[must_use]
    pub fn new(parts: AdminParts) -> (Self, AdminWorker) {
        let AdminParts { cluster, revoker, audit, counted, clock, roles } = parts;
        let (queue, worker) =
            AdminWorker::new(Arc::clone(&cluster), audit.clone(), Arc::clone(&clock));
        let own_uid = rustix::process::geteuid().as_raw();
        let local = [own_uid, 0].map(|uid| format!("unix:{uid}"));
        let names = roles.names().map(str::to_owned).chain(local);
        let rates = ClientRateLimiter::new(names.map(|name| (name, RATE)), Arc::clone(&clock));
        let shared =
            Shared { cluster, revoker, audit, counted, clock, roles, own_uid, rates, queue };
        (Self(Arc::new(shared)), worker)
    }

    /// What a listener's requests are handed to. Over TLS, `clients` judges the certificate again
    /// at each request: one that has expired, or whose authority is no longer listed, ends with
    /// that and not with its connection.
    pub(super) fn router(self, clients: Option<Arc<CurrentClients>>) -> axum::Router {
        let clock = Arc::clone(&self.0.clock);
        let server = AdminServer::new(self)
            .max_decoding_message_size(REQUEST_BYTES_MAX)
            .max_encoding_message_size(REPLY_BYTES_MAX);
        let router = Routes::new(server).prepare().into_axum_router();
        let router = match clients {
            Some(clients) => router.layer(from_fn_with_state((clients, clock), still_certified)),
            None => router,
        };
        router.layer(from_fn(only_grpc))
    }

    /// Who asks; strangers are counted, as they may not buy disk writes.
    fn operator(&self, extensions: &Extensions) -> Result<Operator, Unmet> {
        let shared = &self.0;
        let count = |reason| shared.counted.count(reason, shared.clock.now());
        let Some(remote) = extensions.get::<Remote>() else {
            return Err(Unmet::new(Cause::NoRole, "it is unknown who asks"));
        };
        let operator = caller::operator(remote, &shared.roles, shared.own_uid);
        let operator = operator.map_err(|no_role| {
            count(no_role.as_str());
            Unmet::new(Cause::NoRole, no_role)
        })?;
        shared.rates.check(operator.name()).map_err(|early| {
            count("admin_rate_limited");
            Unmet::new(Cause::RateLimited, early)
        })?;
        Ok(operator)
    }

    /// Every action goes through here.
    async fn act<M: Ordering>(&self, request: Request<M>) -> Result<Carried, Status> {
        let operator = self.operator(request.extensions())?;
        let message = request.into_inner();
        let read = message.read();
        if let Err(unmet) = permitted(&operator, M::ACTION) {
            return Err(self.refuse(&operator, M::ACTION, read.ok(), unmet).await.into());
        }
        let (id, order) = match read {
            Ok(read) => read,
            Err(unmet) => return Err(self.refuse(&operator, M::ACTION, None, unmet).await.into()),
        };
        let (answer, answered) = oneshot::channel();
        if self.0.queue.try_send(Job { operator, id, order, answer }).is_err() {
            let text = "too many actions are waiting on this node: try again later";
            return Err(Unmet::new(Cause::Overloaded, text).into());
        }
        match timeout(ANSWER_MAX, answered).await {
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(_stopped)) => {
                let text = "the node is stopping, and whether it takes effect is unknown: look at \
                            the status of another";
                Err(Unmet::new(Cause::Deadline, text).into())
            }
            Err(_late) => {
                let text = "no answer in time: look at the status, then repeat it";
                Err(Unmet::new(Cause::Deadline, text).into())
            }
        }
    }

    /// Records that an operator was refused; what cannot be recorded is refused for that reason.
    async fn refuse(
        &self,
        operator: &Operator,
        action: Action,
        read: Option<(RequestId, Order)>,
        unmet: Unmet,
    ) -> Unmet {
        let target = read.and_then(|(_, order)| order.target());
        let replaced = read.and_then(|(_, order)| order.replaced());
        let event = Event::OperatorRefused {
            operator: operator.name().to_owned(),
            action,
            target: target.map(|node| node.to_string()),
            replaced: replaced.map(|node| node.to_string()),
            cause: unmet.cause.as_str(),
        };
        let (audit, clock) = (&self.0.audit, self.0.clock.as_ref());
        let recorded = worker::record(audit, clock, read.map(|(id, _)| id), event).await;
        recorded.err().unwrap_or(unmet)
    }

    async fn done<M: Ordering>(&self, request: Request<M>) -> Result<Response<wire::Done>, Status> {
        let Carried { repeated, .. } = self.act(request).await?;
        Ok(Response::new(wire::Done { repeated }))
    }
}

#[tonic::async_trait]
impl wire::admin_server::Admin for AdminService {
    async fn status(
        &self,
        request: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        let operator = self.operator(request.extensions())?;
        if !operator.role().may(Action::Status) {
            return Err(Unmet::new(Cause::NotPermitted, "this role may not even look").into());
        }
        Ok(Response::new(convert::reply(self.0.cluster.status())))
    }

    async fn invite(
        &self,
        request: Request<wire::InviteRequest>,
    ) -> Result<Response<wire::InviteReply>, Status> {
        let Carried { invite, repeated } = self.act(request).await?;
        let invite = invite.map(|invite| invite.seal()).unwrap_or_default().into();
        Ok(Response::new(wire::InviteReply { invite, repeated }))
    }

    async fn promote(
        &self,
        request: Request<wire::PromoteRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn demote(
        &self,
        request: Request<wire::DemoteRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn remove(
        &self,
        request: Request<wire::RemoveRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn transfer_leader(
        &self,
        request: Request<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn drain(
        &self,
        request: Request<wire::DrainRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn snapshot(
        &self,
        request: Request<wire::SnapshotRequest>,
    ) -> Result<Response<wire::Done>, Status> {
        self.done(request).await
    }

    async fn entry(
        &self,
        request: Request<wire::EntryRequest>,
    ) -> Result<Response<wire::EntryReply>, Status> {
        let operator = self.operator(request.extensions())?;
        if !operator.role().may(Action::Entry) {
            let text =
                format!("the role `{}` may not see the log: ask an operator", operator.role());
            let unmet = Unmet::new(Cause::NotPermitted, text);
            return Err(self.refuse(&operator, Action::Entry, None, unmet).await.into());
        }
        let entry = self.0.cluster.entry(request.into_inner().index).await;
        let entry = entry.map_err(Unmet::from)?;
        Ok(Response::new(wire::EntryReply { entry: entry.seal().into() }))
    }

    async fn revoke(
        &self,
        request: Request<wire::RevokeRequest>,
    ) -> Result<Response<wire::RevokeReply>, Status> {
        let operator = self.operator(request.extensions())?;
        let asked =
            permitted(&operator, Action::Revoke).and_then(|()| revoke::read(request.into_inner()));
        let (id, revocation) = match asked {
            Ok(asked) => asked,
            Err(unmet) => {
                return Err(self.refuse(&operator, Action::Revoke, None, unmet).await.into());
            }
        };
        match self.0.revoker.revoke(&operator, id, &revocation).await {
            Ok(revoke::Revoked { receipt, agreed, may_return }) => {
                Ok(Response::new(wire::RevokeReply { receipt, agreed, may_return }))
            }
            Err(error) => {
                let unmet = Unmet::from(error);
                // What cannot be recorded is not recorded.
                if unmet.cause == Cause::AuditUnavailable {
                    return Err(unmet.into());
                }
                Err(self.refuse(&operator, Action::Revoke, None, unmet).await.into())
            }
        }
    }
}

impl fmt::Debug for AdminService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminService").field("roles", &self.0.roles).finish_non_exhaustive()
    }
}

/// Refuses what a browser could be made to send with an operator's certificate: only gRPC's own
/// media type, and only over HTTP/2.
async fn only_grpc(request: HttpRequest, next: Next) -> HttpResponse {
    if request.version() != Version::HTTP_2 {
        return StatusCode::HTTP_VERSION_NOT_SUPPORTED.into_response();
    }
    let media = request.headers().get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    if !media.is_some_and(|media| media.starts_with(b"application/grpc")) {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    next.run(request).await
}

async fn still_certified(
    State((clients, clock)): State<(Arc<CurrentClients>, Arc<dyn Clock>)>,
    request: HttpRequest,
    next: Next,
) -> HttpResponse {
    let certificates = request.extensions().get::<Remote>().and_then(|r| r.certificates.as_ref());
    if certificates.is_some_and(|chain| clients.accept(chain, clock.now())) {
        return next.run(request).await;
    }
    let text = "the certificate is no longer one of the operators' authority: renew it";
    Status::from(Unmet::new(Cause::NoRole, text)).into_http()
}

fn permitted(operator: &Operator, action: Action) -> Result<(), Unmet> {
    let role = operator.role();
    if role.may(action) {
        return Ok(());
    }
    let text = format!("the role `{role}` may not {}: ask an operator", words(action));
    Err(Unmet::new(Cause::NotPermitted, text))
}

fn words(action: Action) -> String {
    action.as_str().replace('_', " ")
}
