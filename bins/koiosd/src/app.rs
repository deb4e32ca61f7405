//! The daemon from start to stop.

use std::{
    error::Error,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    App,
    dev::{Server, ServerHandle},
    middleware::from_fn,
    rt,
    web::Data,
};
use koios_opcua::{Supervisor, SupervisorSettings};
use koios_pki::HostName;
use koios_store::{OpenError, Store, StoreError};
use time::{OffsetDateTime, macros::datetime};
use zeroize::Zeroizing;

use crate::{
    api::{self, frame, http_metrics, safe_headers::SafeHeaders},
    audit_command::head_text,
    command_line::Arguments,
    config::{DefaultServerCertificatePolicy, LiveSettings, Settings},
    error_chain::error_chain,
    first_start, listener,
    reload::Reload,
    service::{Services, events::Events, expiry, metrics::ConnectMetrics},
    service_manager::{Notice, notify, watchdog_period},
    signals::{Hangups, Signals},
    system_host::system_host,
    tls::{Tls, TlsError},
};

/// How long requests and then the sessions of devices may take together, below the ten seconds that a stop may take: many
/// thousand sessions need what the requests leave.
const STOP_GRACE: Duration = Duration::from_secs(9);

/// No build of this source is older: a clock before it is not believed.
const SOURCE_WRITTEN: OffsetDateTime = datetime!(2026-11-23 0:00 UTC);

/// How often it is written when tokens were used last.
const TOKEN_USES_EVERY: Duration = Duration::from_secs(60);

/// A daemon whose requests are answered once it [runs](Self::run).
#[derive(Debug)]
pub struct Application {
    address: SocketAddr,
    server: RunningServer,
    services: Data<Services>,
    signals: Signals,
    hangups: Hangups,
    reload: Reload,
    tls: Option<Arc<Tls>>,
}

struct RunningServer {
    future: Server,
    handle: ServerHandle,
}

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RunningServer")
    }
}

/// Why the daemon did not start, or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The token of the environment cannot be used.
    #[error("KOIOS_BOOTSTRAP_TOKEN must have at least 32 characters, all of them visible ASCII")]
    BootstrapToken,
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The data directory could not be set up.
    #[error("the first start could not be finished")]
    Setup(#[source] Box<dyn Error + Send + Sync>),
    /// There is no TLS, although it was asked for.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server failed while it ran.
    #[error("the HTTP server failed")]
    Serve(#[source] io::Error),
}

impl StartError {
    pub(crate) fn setup(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Setup(Box::new(source))
    }

    /// The process's exit code.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Tls(TlsError::Generate(_) | TlsError::Store(_)) => 1,
            Self::BootstrapToken | Self::Open(OpenError::MasterKey { .. }) | Self::Tls(_) => 2,
            Self::Open(_) => 3,
            Self::Bind { .. } | Self::Setup(_) | Self::Serve(_) => 1,
        }
    }
}

impl Application {
    /// Opens the data directory, finishes a first start and takes the address; `None` when a signal asked to stop
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`StartError`] says what is in the way.
    pub async fn build(
        arguments: Arguments,
        settings: Settings,
        bootstrap_token: Option<Zeroizing<String>>,
    ) -> Result<Option<Self>, StartError> {
        let mut signals = Signals::listen().map_err(StartError::Serve)?;
        let hangups = Hangups::listen().map_err(StartError::Serve)?;
        let built = tokio::select! {
            // A start that is cut off goes on at the next one: the store survives that at every point.
            () = signals.next() => None,
            built = build(settings, bootstrap_token) => Some(built?),
        };
        if built.is_none() {
            tracing::info!("stopped before it was ready");
        }
        Ok(built.map(|(address, server, services, tls)| {
            let reload = reload(arguments, &services, tls.clone());
            Self { address, server, services, signals, hangups, reload, tls }
        }))
    }

    /// The address that was taken; its port is the real one.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until a signal asks to stop.
    ///
    /// # Errors
    ///
    /// [`StartError::Serve`] when the server fails.
    pub async fn run(self) -> Result<(), StartError> {
        let Self { address, server, services, mut signals, mut hangups, reload, tls } = self;
        let RunningServer { future, handle } = server;
        let mut server = rt::spawn(future);
        log_audit_head(&services.store).await;
        rt::spawn(log_audit_head_daily(services.store.clone()));
        announce(address, tls.is_some());
        let status = format!("answers requests on {address}");
        notify(Notice::Ready(&status));
        if let Some(period) = watchdog_period() {
            rt::spawn(show_life(period));
        }
        if let Some(tls) = tls {
            rt::spawn(tls.watch());
        }
        rt::spawn(look_at_files(services.store.clone()));
        rt::spawn(write_token_uses(services.store.clone()));
        let warnings = services.metrics.expiry();
        rt::spawn(expiry::watch(services.store.clone(), services.settings.clone(), warnings));
        rt::spawn(services.metrics.watch_storage());
        let ended = loop {
            tokio::select! {
                ended = &mut server => break Some(ended),
                () = signals.next() => break None,
                () = hangups.next() => reload.carry_out(&status).await,
            }
        };
        if let Some(ended) = ended {
            return ended.map_err(io::Error::other).and_then(|result| result).map_err(StartError::Serve);
        }
        tracing::info!("stopping");
        notify(Notice::Stopping);
        rt::spawn(signals.exit_at_next());
        services.events.stop();
        services.connection_tests.stop();
        let begun = Instant::now();
        handle.stop(true).await;
        services.supervisor.shutdown(STOP_GRACE.saturating_sub(begun.elapsed())).await;
        services.store.clone().close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What keeps something of its own of the settings that a reload may change.
fn reload(arguments: Arguments, services: &Services, tls: Option<Arc<Tls>>) -> Reload {
    let mut reload = Reload::new(arguments, services.settings.clone());
    let supervisor = services.supervisor.clone();
    reload.tell("supervisor", move |settings| {
        supervisor.set_pace(settings.retry_max(), settings.connect_concurrency);
        Ok(())
    });
    reload.tell("devices", |settings| {
        warn_of_accepting_any(settings);
        Ok(())
    });
    if let Some(tls) = tls {
        reload.tell("tls", move |_| {
            rt::spawn(tls.clone().reload_or_say());
            Ok(())
        });
    }
    reload
}

/// Tells the service manager again and again that the daemon's thread goes on.
async fn show_life(period: Duration) {
    let mut ticks = rt::time::interval(period);
    loop {
        ticks.tick().await;
        notify(Notice::Alive);
    }
}

fn warn_of_accepting_any(settings: &Settings) {
    if settings.default_server_certificate_policy == DefaultServerCertificatePolicy::AcceptAny {
        tracing::warn!(
            "default_server_certificate_policy is accept_any: new devices believe whoever answers in their server's place"
        );
    }
}

/// A file that every user of the machine reads protects against none of them.
fn warn_of_readable_master_key(settings: &Settings) {
    #[cfg(unix)]
    if let Some(path) = &settings.master_key_file
        && let Ok(metadata) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o007 != 0
    {
        tracing::warn!(
            path = %path.display(),
            "every user of this machine can read the master key; give its file to the daemon's user, with mode 0600"
        );
    }
    if settings.encryption_at_rest && settings.master_key.is_none() {
        tracing::warn!(
            "private keys are encrypted under secrets.key, which lies beside them: whoever copies the data directory has both; \
             master_key_file keeps the key elsewhere"
        );
    }
}

async fn build(
    mut settings: Settings,
    bootstrap_token: Option<Zeroizing<String>>,
) -> Result<(SocketAddr, RunningServer, Data<Services>, Option<Arc<Tls>>), StartError> {
    warn_of_readable_master_key(&settings);
    warn_of_plain_http(&settings);
    #[cfg(unix)]
    crate::open_files::raise_limit(settings.max_connections);
    let store = Store::open(settings.store_options()).await?;
    settings.master_key = None;
    let bind = |source| StartError::Bind { address: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let host = rt::task::spawn_blocking(system_host).await.map_err(StartError::setup)?;
    if settings.allow_deprecated_policies {
        tracing::warn!(
            "allow_deprecated_policies is on: devices may connect under Basic128Rsa15 and Basic256, whose SHA-1 is broken"
        );
    }
    warn_of_accepting_any(&settings);
    let connects = ConnectMetrics::new();
    let first = store.first_event_number(OffsetDateTime::now_utc()).await.map_err(StartError::setup)?;
    let supervisor = start_supervisor(&store, &settings, &host, connects.clone())?;
    let live = LiveSettings::new(settings);
    let events = Arc::new(Events::new(first, api::events::render, live.clone()));
    rt::spawn(events.feed(store.clone(), &supervisor));
    let services =
        Data::new(Services::new(store.clone(), live.clone(), Arc::new(host), supervisor, events, connects));
    first_start::prepare(&store, &live.now(), &services.certificates, bootstrap_token).await?;
    warn_of_another_host(&store, &services.system_host).await?;
    let settings = live.now();
    let hosts = hosts_of(&settings, &services.system_host);
    let tls = Tls::open(&settings.tls, &store, &hosts).await?.map(Arc::new);
    let server = serve(listener, services.clone(), tls.as_deref())?;
    Ok((address, server, services, tls))
}

/// What a certificate of our own is for: every name by which a browser may come here.
fn hosts_of(settings: &Settings, system_host: &HostName) -> Vec<HostName> {
    let mut hosts = vec![system_host.clone()];
    if let Some(host) = settings.public_host() {
        hosts.extend(HostName::parse(host));
    }
    hosts.extend(HostName::parse("localhost"));
    hosts.extend([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(HostName::Ip));
    if !settings.listen.ip().is_unspecified() {
        hosts.push(HostName::Ip(settings.listen.ip().to_canonical()));
    }
    let mut known = Vec::new();
    hosts.retain(|host| {
        !known.contains(host) && {
            known.push(host.clone());
            true
        }
    });
    hosts
}

/// Whoever set this may have forgotten it: said at each start.
fn warn_of_plain_http(settings: &Settings) {
    if !settings.listen.ip().to_canonical().is_loopback() && !settings.tls.is_on() {
        tracing::warn!(
            listen = %settings.listen,
            "INSECURE: insecure_allow_plain_http is on, and the API speaks plain HTTP to the network: whoever listens there \
             reads tokens, passwords and private keys, and may change what is answered. Set tls.self_signed = true, or \
             tls.certificate and tls.private_key"
        );
    }
}

/// Looks at the files of all certificates again and again: what counts them, or lists many of them, need not look at all.
///
/// The first look also reads into memory what lists need.
async fn look_at_files(store: Store) {
    loop {
        let begun = Instant::now();
        match store.look_at_files().await {
            Ok(()) => {}
            Err(StoreError::Interrupted) => return,
            Err(error) => tracing::warn!(%error, "the files of certificates cannot be looked at"),
        }
        // At most a hundredth of the time; with ten thousand certificates, a look takes about a tenth of a second.
        let pause = begun.elapsed().saturating_mul(100);
        rt::time::sleep(pause.clamp(Duration::from_secs(5), Duration::from_secs(60))).await;
    }
}

/// A use would else cost each request a write; what is not written yet is when the store closes.
async fn write_token_uses(store: Store) {
    loop {
        rt::time::sleep(TOKEN_USES_EVERY).await;
        match store.write_token_uses().await {
            Ok(()) => {}
            Err(StoreError::Interrupted) => return,
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "when tokens were used last cannot be written");
            }
        }
    }
}

async fn log_audit_head_daily(store: Store) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    loop {
        rt::time::sleep(DAY).await;
        log_audit_head(&store).await;
    }
}

/// Notes the newest audit entry in the log: it shows later that the end of the trail was cut off.
async fn log_audit_head(store: &Store) {
    match store.audit_head().await {
        Ok(Some(head)) => tracing::info!(audit.head = head_text(&head), "the newest audit entry"),
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "the audit trail cannot be read"),
    }
}

/// The one line on standard output.
fn announce(address: SocketAddr, under_tls: bool) {
    tracing::info!(listen = %address, "ready");
    let scheme = if under_tls { "https" } else { "http" };
    let mut stdout = io::stdout().lock();
    if let Err(error) = writeln!(stdout, "koiosd ready on {scheme}://{address}").and_then(|()| stdout.flush())
    {
        tracing::warn!(error = %error, "nobody reads standard output");
    }
}

fn serve(
    listener: TcpListener,
    services: Data<Services>,
    tls: Option<&Tls>,
) -> Result<RunningServer, StartError> {
    let settings = services.settings.now();
    let limits = listener::Limits {
        connections: settings.max_connections,
        connections_per_address: settings.max_connections_per_address,
        client_timeout: settings.client_timeout(),
    };
    let config = tls.map(Tls::server_config).transpose()?;
    let headers = SafeHeaders::new(&settings, config.is_some());
    let app = move || {
        let headers = headers.clone();
        App::new()
            .app_data(services.clone())
            .wrap(from_fn(frame::run_to_completion))
            .wrap(api::cors(services.settings.clone()))
            .wrap(from_fn(frame::identify))
            .wrap(from_fn(http_metrics::count))
            .wrap(from_fn(move |request, next| headers.clone().add(request, next)))
            .wrap(from_fn(listener::follow))
            .configure(|config| api::console::configure(config, &services.settings.now()))
            .configure(api::configure)
    };
    let server = listener::serve(listener, config, limits, app).map_err(StartError::Serve)?;
    Ok(RunningServer { handle: server.handle(), future: server })
}

/// Connects the enabled devices, on threads of its own.
fn start_supervisor(
    store: &Store,
    settings: &Settings,
    host: &HostName,
    connects: ConnectMetrics,
) -> Result<Arc<Supervisor>, StartError> {
    let mut supervision = SupervisorSettings::new(format!("urn:koios:{host}"));
    supervision.retry_max = settings.retry_max();
    supervision.connect_concurrency = settings.connect_concurrency;
    supervision.session_limit = settings.session_limit;
    supervision.observer = Some(Arc::new(connects));
    supervision.deprecated_policies = settings.deprecated_policies();
    supervision.networks = settings.target_networks();
    supervision.known_past = SOURCE_WRITTEN;
    Supervisor::start(store.clone(), supervision).map(Arc::new).map_err(StartError::setup)
}

/// A changed host name is told, not acted on: the certificates that servers trust name the old one.
async fn warn_of_another_host(store: &Store, host: &HostName) -> Result<(), StartError> {
    let Some(default) = store.default_certificate().await.map_err(StartError::setup)? else { return Ok(()) };
    let leaf = default.chain.leaf();
    let text = host.to_string();
    let named = leaf.dns_names().contains(&text)
        || leaf.ip_addresses().iter().any(|address| address.to_string() == text)
        || leaf.common_name().is_some_and(|name| name.ends_with(&format!("@{text}")));
    if !named {
        tracing::warn!(
            hostname = text,
            certificate.id = %default.id,
            "the default certificate was made for another host; it still works, regenerate it to change that"
        );
    }
    Ok(())
}
