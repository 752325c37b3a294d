//! The service manager, systemd or one with its protocol: notifications (sd_notify(3)), the watchdog, and sockets that it passes
//! (sd_listen_fds(3)). Without one, nothing here does anything.

use anyhow::{Context, bail};
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::net::{TcpListener, UnixListener};

use crate::app::{Lifecycle, PassedSockets};
use crate::state::ReloadReport;
use crate::web::listener::Listener;

pub(super) fn notify(event: Lifecycle<'_>) {
    match event {
        Lifecycle::Serving => send(&[NotifyState::Ready, NotifyState::Status("serving")]),
        Lifecycle::Reloading => match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now, NotifyState::Status("reading the settings again")]),
            // A reload without the time would fail the unit.
            Err(error) => tracing::warn!(error = %error, "the service manager is not notified of a reload"),
        },
        Lifecycle::Reloaded(report) => {
            let status = match report {
                ReloadReport::Applied { needs_restart, .. } if needs_restart.is_empty() => "serving".to_owned(),
                ReloadReport::Applied { needs_restart, .. } => {
                    format!("serving; a restart would change {}", needs_restart.join(", "))
                }
                ReloadReport::Rejected { problems } => {
                    // A status is one line.
                    let problem = problems.first().map_or("", |problem| problem.lines().next().unwrap_or_default());
                    format!("serving with the previous settings, because the last reload failed: {problem}")
                }
            };
            send(&[NotifyState::Ready, NotifyState::Status(&status)]);
        }
        Lifecycle::Stopping => send(&[NotifyState::Stopping, NotifyState::Status("shutting down")]),
    }
}

/// Reports twice in each interval of the watchdog that tasks of this process run.
pub(super) fn keep_watchdog_alive() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        let mut beat = tokio::time::interval(limit / 2);
        loop {
            beat.tick().await;
            send(&[NotifyState::Watchdog]);
        }
    });
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(error = %error, "the service manager cannot be notified");
    }
}

/// The sockets by their names, which `FileDescriptorName=` of their units sets.
pub(super) fn passed_sockets() -> Result<PassedSockets, anyhow::Error> {
    let names: Vec<String> = sd_notify::listen_fds_with_names()
        .context("the sockets of the service manager cannot be used (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES)")?
        .map(|(_, name)| name)
        .collect();
    let mut sockets = ListenFd::from_env();
    let mut passed = PassedSockets::default();
    for (at, name) in names.iter().enumerate() {
        let is_second = match name.as_str() {
            "public" => passed.public.replace(public_socket(&mut sockets, at)?).is_some(),
            "console" => passed.console.replace(tcp_socket(&mut sockets, at, name)?).is_some(),
            "management" => passed.management.replace(tcp_socket(&mut sockets, at, name)?).is_some(),
            _ => bail!(
                "the service manager passes a socket with the name {name:?}; expected public, console or management. \
                 Set FileDescriptorName= in its unit"
            ),
        };
        if is_second {
            bail!(
                "the service manager passes two sockets with the name {name}; Signpost uses one. \
                 Keep one ListenStream=: on [::] it accepts IPv4 as well"
            );
        }
    }
    Ok(passed)
}

fn public_socket(sockets: &mut ListenFd, at: usize) -> Result<Listener, anyhow::Error> {
    // A socket of another kind stays where it is.
    if let Ok(Some(socket)) = sockets.take_unix_listener(at) {
        socket.set_nonblocking(true)?;
        return Ok(UnixListener::from_std(socket)?.into());
    }
    Ok(tcp_socket(sockets, at, "public")?.into())
}

fn tcp_socket(sockets: &mut ListenFd, at: usize, name: &str) -> Result<TcpListener, anyhow::Error> {
    let socket = sockets.take_tcp_listener(at).with_context(|| format!("the socket {name} is not a TCP listener"))?;
    let socket = socket.with_context(|| format!("the socket {name} is missing"))?;
    socket.set_nonblocking(true)?;
    Ok(TcpListener::from_std(socket)?)
}
